//! The constants of the ranking: what each feature adds, where it comes from and what it measured.
//!
//! A score is the sum of weight × value over the features, nothing is normalised per question. The weights are those
//! that a listwise softmax regression finds on LoCoMo, rounded to one digit; learnt on all conversations but one and
//! tested on that one, again and again, they recall 84.6 % of the evidence in ten hits. docs/memory.md has the figures
//! with each feature left out.

use crate::bm25::Field;

/// BM25 over an item's words and those beside it. Wide optimum: k1 from 0.6 to 1.2 and b from 0.4 to 0.75 make no
/// difference beyond ±0.2 points; without the neighbours 4 points are lost.
pub(super) const WORDS_FIELD: Field = Field {
    k1: 0.9,
    b: 0.6,
    own: 1.0,
    before: 0.7,
    after: 0.4,
    two_before: 0.3,
    two_after: 0.2,
};

/// A feature: its name in explanations and what one unit of its value adds.
pub(super) struct Weight {
    pub(super) feature: &'static str,
    pub(super) weight: f64,
}

const fn weight(feature: &'static str, weight: f64) -> Weight {
    Weight { feature, weight }
}

/// BM25 of [`WORDS_FIELD`], from 0 to about 30.
pub(super) const WORDS: Weight = weight("words", 0.4);
/// The cosine of the question and the item.
pub(super) const MEANING: Weight = weight("meaning", 5.0);
/// The best cosine of the item and those within [`REACH`] of it in its session: what was being talked about.
pub(super) const NEARBY: Weight = weight("nearby", 6.0);
/// From 3 to 8 make no difference beyond 0.1 points.
pub(super) const REACH: u32 = 5;
/// 1 when the person that the question is about said it, -1 when somebody else did.
pub(super) const SPEAKER: Weight = weight("speaker", 1.0);
/// How close its day is to the time that the question names, from 0 to 1.
pub(super) const TIME: Weight = weight("time", 5.0);
/// 1 when the item is a question itself: it is seldom an answer.
pub(super) const ASKS: Weight = weight("asks", -1.0);
/// 1 when the question asks for a time and the item tells one.
pub(super) const TELLS_TIME: Weight = weight("tells_time", 2.0);

// Priors. Not learnt, since nothing in LoCoMo is more important than the rest: small enough to decide only between items
// that are nearly equal, and without any effect where all items have the same.

/// Importance less 0.5: from -0.5 to 0.5.
pub(super) const IMPORTANCE: Weight = weight("importance", 1.0);
/// 1 for what was said now, half of it after [`HALF_LIFE_DAYS`], half of that after as many again.
pub(super) const RECENCY: Weight = weight("recency", 0.2);
pub(super) const HALF_LIFE_DAYS: f64 = 90.0;

/// How much of a better-placed item this one repeats: 0 up to [`ALIKE`] of their words in common, 1 for all of them.
pub(super) const REPETITION: Weight = weight("repetition", -4.0);
/// Words in common by which two items begin to repeat each other: those of both by those of either.
pub(super) const ALIKE: f64 = 0.6;
