//! The order in which items answer a question: a sum of weighted features, then no repetition.

mod allowed;
mod dense;
mod question;
mod repetition;

use uuid::Uuid;

use crate::feature::{Ablation, Feature, HALF_LIFE_DAYS, REACH};
use crate::index::{Index, Record};
use crate::query::{Part, Query, Ranked};
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
    let question = Question::read(index, query.text, query.now_ms);
    let scoring = Scoring {
        words: ablation.field().scores(index, &question.terms),
        cosines: query
            .dense
            .first()
            .and_then(|view| Cosines::of(index, view, REACH)),
        question: &question,
        now_ms: query.now_ms,
        ablation,
    };
    let mut found: Vec<_> = allowed::slots(index, &query.filter)
        .filter_map(|(slot, record)| Some((slot, record.id, scoring.score(slot, record)?)))
        .collect();
    let better = |left: &(u32, Uuid, f64), right: &(u32, Uuid, f64)| {
        right.2.total_cmp(&left.2).then(left.1.cmp(&right.1))
    };
    let wanted = repetition::pool_of(query.limit);
    if found.len() > wanted {
        found.select_nth_unstable_by(wanted, better);
        found.truncate(wanted);
    }
    found.sort_unstable_by(better);
    let pool = found.into_iter().filter_map(|(slot, id, score)| {
        let parts = scoring.parts(slot, index.record(slot)?);
        Some((slot, Ranked { id, score, parts }))
    });
    let weight = if ablation.leaves_out(Feature::Repetition) {
        0.0
    } else {
        Feature::Repetition.weight()
    };
    repetition::choose(index, pool.collect(), query.limit, weight)
}

/// What the features of an item are read from.
struct Scoring<'a> {
    question: &'a Question,
    now_ms: i64,
    /// BM25 by slot.
    words: Vec<f32>,
    cosines: Option<Cosines>,
    ablation: &'a Ablation<'a>,
}

impl Scoring<'_> {
    /// None when nothing speaks for the item.
    fn score(&self, slot: u32, record: &Record) -> Option<f64> {
        let found = self.words_of(slot) > 0.0
            || self.cosines.as_ref().is_some_and(|cosines| cosines.found(slot))
            || self.question.closeness(record.time_ms) > 0.0;
        let mut score = 0.0;
        if found {
            self.each(slot, record, |feature, value| score += feature.weight() * value);
        }
        found.then_some(score)
    }

    /// The features that count for something.
    fn parts(&self, slot: u32, record: &Record) -> Vec<Part> {
        let mut parts = Vec::new();
        self.each(slot, record, |feature, value| {
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

    fn each(&self, slot: u32, record: &Record, mut tell: impl FnMut(Feature, f64)) {
        let mut feature = |feature, value| {
            if !self.ablation.leaves_out(feature) {
                tell(feature, value);
            }
        };
        feature(Feature::Words, self.words_of(slot));
        if let Some(cosines) = &self.cosines {
            feature(Feature::Meaning, cosines.of_item(slot));
            feature(Feature::Nearby, cosines.nearby(slot));
        }
        if let Some(target) = self.question.target {
            let is_theirs = record.speaker == target;
            feature(Feature::Speaker, if is_theirs { 1.0 } else { -1.0 });
        }
        feature(Feature::Time, self.question.closeness(record.time_ms));
        let tells_time = self.question.asks_when && record.traits.tells_time;
        feature(Feature::TellsTime, one_if(tells_time));
        feature(Feature::Asks, one_if(record.traits.asks));
        feature(Feature::Importance, f64::from(record.importance) - 0.5);
        feature(Feature::Recency, self.recency(record.time_ms));
    }

    fn words_of(&self, slot: u32) -> f64 {
        self.words.get(slot as usize).copied().map_or(0.0, f64::from)
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
