//! The order in which items answer a question: a sum of weighted features, then no repetition.

mod allowed;
mod beyond;
mod dense;
mod question;
mod repetition;

use uuid::Uuid;

use crate::bm25::Field;
use crate::feature::{Ablation, Feature, HALF_LIFE_DAYS, REACH};
use crate::index::{Index, Record};
use crate::query::{Part, Query, Ranked};
use crate::traits::Traits;
use beyond::{Numbering, Outsider};
use dense::Cosines;
use question::Question;

/// The items that answer the question, best first, at most as many as it asks for; of equals the one with the lower id.
///
/// An item is only considered when something speaks for it: a word in or beside it, a vector, or the time that the
/// question names.
#[must_use]
pub fn rank(index: &Index, query: &Query<'_>) -> Vec<Ranked> {
    rank_with(index, query, &Ablation::NONE)
}

/// As [`rank`], with less than everything.
#[must_use]
pub fn rank_with(index: &Index, query: &Query<'_>, ablation: &Ablation<'_>) -> Vec<Ranked> {
    let mut numbering = Numbering::of(index);
    let outsiders = Outsider::all(&mut numbering, query);
    let span = index.time_span(outsiders.iter().map(|outsider| outsider.item.time_ms));
    let scoring = Scoring {
        question: Question::read(&numbering, query.text, query.now_ms, span),
        now_ms: query.now_ms,
        ablation,
    };
    let held = Held::of(index, query, &scoring);
    let outside = Outside::of(index, &outsiders, &scoring);
    let inside = allowed::slots(index, &query.filter).filter_map(|(slot, record)| {
        let score = scoring.score(&held.signs(slot, record)?);
        Some((At::Slot(slot), record.id, score))
    });
    let mut found: Vec<_> = inside.collect();
    found.extend(outsiders.iter().enumerate().map(|(at, outsider)| {
        let score = scoring.score(&outside.signs(outsider));
        (At::Outside(at), outsider.item.id, score)
    }));
    let better = |left: &(At, Uuid, f64), right: &(At, Uuid, f64)| {
        right.2.total_cmp(&left.2).then(left.1.cmp(&right.1))
    };
    let wanted = repetition::pool_of(query.limit);
    if found.len() > wanted {
        found.select_nth_unstable_by(wanted, better);
        found.truncate(wanted);
    }
    found.sort_unstable_by(better);
    let pool = found.into_iter().filter_map(|(at, id, score)| {
        let (words, signs) = match at {
            At::Slot(slot) => {
                let record = index.record(slot)?;
                (repetition::word_set(record.terms()), held.signs(slot, record)?)
            }
            At::Outside(at) => {
                let outsider = outsiders.get(at)?;
                let words = repetition::word_set(outsider.terms.iter().copied());
                (words, outside.signs(outsider))
            }
        };
        let parts = scoring.parts(&signs);
        Some((words, Ranked { id, score, parts }))
    });
    let weight = if ablation.leaves_out(Feature::Repetition) {
        0.0
    } else {
        Feature::Repetition.weight()
    };
    repetition::choose(pool.collect(), query.limit, weight)
}

/// Where an item is.
#[derive(Clone, Copy)]
enum At {
    Slot(u32),
    /// Its place among the outsiders.
    Outside(usize),
}

/// What an item shows, whatever it counts for.
struct Signs {
    words: f64,
    /// The cosine of the item, and the best of those nearby; none when nothing was found by meaning.
    meaning: Option<(f64, f64)>,
    /// Whether the one whom the question is about said it; none when it is about nobody.
    is_theirs: Option<bool>,
    time_ms: i64,
    traits: Traits,
    importance: f32,
}

/// The items of the index.
struct Held<'a> {
    question: &'a Question,
    /// BM25 by slot.
    words: Vec<f32>,
    cosines: Option<Cosines>,
}

impl<'a> Held<'a> {
    fn of(index: &Index, query: &Query<'_>, scoring: &'a Scoring<'_>) -> Self {
        let dense = query.dense.first();
        Self {
            question: &scoring.question,
            words: scoring.ablation.field().scores(index, &scoring.question.terms),
            cosines: dense.and_then(|view| Cosines::of(index, view, REACH)),
        }
    }

    /// None when nothing speaks for the item.
    fn signs(&self, slot: u32, record: &Record) -> Option<Signs> {
        let words = self.words.get(slot as usize).copied().map_or(0.0, f64::from);
        let cosines = self.cosines.as_ref();
        let found = words > 0.0
            || cosines.is_some_and(|cosines| cosines.found(slot))
            || self.question.closeness(record.time_ms) > 0.0;
        found.then(|| Signs {
            words,
            meaning: cosines.map(|cosines| (cosines.of_item(slot), cosines.nearby(slot))),
            is_theirs: self.question.target.map(|target| record.speaker == target),
            time_ms: record.time_ms,
            traits: record.traits,
            importance: record.importance,
        })
    }
}

/// The items that the index does not hold.
struct Outside<'a> {
    question: &'a Question,
    field: Field,
    mean: Option<f32>,
    /// The name of the one whom the question is about.
    target: Option<&'a str>,
}

impl<'a> Outside<'a> {
    fn of(index: &'a Index, outsiders: &[Outsider<'_>], scoring: &'a Scoring<'_>) -> Self {
        let field = scoring.ablation.field();
        let question = &scoring.question;
        let some = outsiders.first();
        Self {
            question,
            field,
            mean: some.and_then(|_| field.mean_length(index)),
            target: question.target.map(|number| index.speaker_name(number)),
        }
    }

    fn signs(&self, outsider: &Outsider<'_>) -> Signs {
        let (item, cosine) = (outsider.item, f64::from(outsider.cosine));
        let words = self
            .field
            .score_alone(&self.question.terms, &outsider.terms, self.mean);
        Signs {
            words: f64::from(words),
            // of those nearby nothing is known
            meaning: Some((cosine, cosine)),
            is_theirs: self.target.map(|target| item.speaker == target),
            time_ms: item.time_ms,
            traits: outsider.traits,
            importance: item.usual_importance(),
        }
    }
}

/// What makes a score of what an item shows.
struct Scoring<'a> {
    question: Question,
    now_ms: i64,
    ablation: &'a Ablation<'a>,
}

impl Scoring<'_> {
    fn score(&self, signs: &Signs) -> f64 {
        let mut score = 0.0;
        self.each(signs, |feature, value| score += feature.weight() * value);
        score
    }

    /// The features that count for something.
    fn parts(&self, signs: &Signs) -> Vec<Part> {
        let mut parts = Vec::new();
        self.each(signs, |feature, value| {
            if value != 0.0 {
                parts.push(Part {
                    feature: feature.name(),
                    value,
                    contribution: feature.weight() * value,
                });
            }
        });
        parts
    }

    fn each(&self, signs: &Signs, mut tell: impl FnMut(Feature, f64)) {
        let mut feature = |feature, value| {
            if !self.ablation.leaves_out(feature) {
                tell(feature, value);
            }
        };
        feature(Feature::Words, signs.words);
        if let Some((meaning, nearby)) = signs.meaning {
            feature(Feature::Meaning, meaning);
            feature(Feature::Nearby, nearby);
        }
        if let Some(is_theirs) = signs.is_theirs {
            feature(Feature::Speaker, if is_theirs { 1.0 } else { -1.0 });
        }
        feature(Feature::Time, self.question.closeness(signs.time_ms));
        let tells_time = self.question.asks_when && signs.traits.tells_time;
        feature(Feature::TellsTime, one_if(tells_time));
        feature(Feature::Asks, one_if(signs.traits.asks));
        feature(Feature::Importance, f64::from(signs.importance) - 0.5);
        feature(Feature::Recency, self.recency(signs.time_ms));
    }

    /// 1 for what was said now or is said to be later, falling by half each half-life.
    fn recency(&self, time_ms: i64) -> f64 {
        let age_ms = self.now_ms.saturating_sub(time_ms).max(0) as f64;
        let days = age_ms / (24.0 * 60.0 * 60.0 * 1000.0);
        (-days / HALF_LIFE_DAYS).exp2()
    }
}

fn one_if(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
