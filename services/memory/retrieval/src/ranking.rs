//! The order in which items answer a question: a sum of weighted features, then no repetition.

mod allowed;
mod dense;
mod question;
mod repetition;
mod weights;

use crate::index::{Index, Record};
use crate::query::{Part, Query, Ranked};
use dense::Cosines;
use question::Question;
use weights::{
    ASKS, HALF_LIFE_DAYS, IMPORTANCE, MEANING, NEARBY, REACH, RECENCY, SPEAKER, TELLS_TIME, TIME, WORDS,
    WORDS_FIELD, Weight,
};

/// The items that answer the question, best first, at most as many as it asks for; of equals the one with the lower id.
///
/// An item is only considered when something speaks for it: a word in or beside it, a vector, or the time that the
/// question names.
#[must_use]
pub fn rank(index: &Index, query: &Query<'_>) -> Vec<Ranked> {
    let question = Question::read(index, query.text, query.now_ms);
    let scoring = Scoring {
        words: WORDS_FIELD.scores(index, &question.terms),
        cosines: query
            .dense
            .first()
            .and_then(|view| Cosines::of(index, view, REACH)),
        question: &question,
        now_ms: query.now_ms,
    };
    let mut found: Vec<_> = allowed::slots(index, &query.filter)
        .filter_map(|(slot, record)| Some((slot, record.id, scoring.score(slot, record)?)))
        .collect();
    let better = |left: &(u32, uuid::Uuid, f64), right: &(u32, uuid::Uuid, f64)| {
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
    repetition::choose(index, pool.collect(), query.limit)
}

/// What the features of an item are read from.
struct Scoring<'a> {
    question: &'a Question,
    now_ms: i64,
    /// BM25 by slot.
    words: Vec<f32>,
    cosines: Option<Cosines>,
}

impl Scoring<'_> {
    /// None when nothing speaks for the item.
    fn score(&self, slot: u32, record: &Record) -> Option<f64> {
        let found = self.words_of(slot) > 0.0
            || self.cosines.as_ref().is_some_and(|cosines| cosines.found(slot))
            || self.question.closeness(record.time_ms) > 0.0;
        let mut score = 0.0;
        if found {
            self.each(slot, record, |weight, value| score += weight.weight * value);
        }
        found.then_some(score)
    }

    /// The features that count for something.
    fn parts(&self, slot: u32, record: &Record) -> Vec<Part> {
        let mut parts = Vec::new();
        self.each(slot, record, |weight, value| {
            if value != 0.0 {
                parts.push(Part {
                    feature: weight.feature,
                    value,
                    contribution: weight.weight * value,
                });
            }
        });
        parts
    }

    fn each(&self, slot: u32, record: &Record, mut feature: impl FnMut(&Weight, f64)) {
        feature(&WORDS, self.words_of(slot));
        if let Some(cosines) = &self.cosines {
            feature(&MEANING, cosines.of_item(slot));
            feature(&NEARBY, cosines.nearby(slot));
        }
        if let Some(target) = self.question.target {
            feature(&SPEAKER, if record.speaker == target { 1.0 } else { -1.0 });
        }
        feature(&TIME, self.question.closeness(record.time_ms));
        feature(&ASKS, f64::from(u8::from(record.traits.asks)));
        let tells = self.question.asks_when && record.traits.tells_time;
        feature(&TELLS_TIME, f64::from(u8::from(tells)));
        feature(&IMPORTANCE, f64::from(record.importance) - 0.5);
        feature(&RECENCY, self.recency(record.time_ms));
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

#[cfg(test)]
mod tests;
