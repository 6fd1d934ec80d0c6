//! The order in which items answer a question.

use std::collections::BTreeSet;

use crate::bm25::{Field, QueryTerm, idf};
use crate::index::{Index, Record};
use crate::item::Filter;
use crate::participants::Participants;
use crate::query::{DenseView, Part, Query, Ranked};

/// Bytes of a question that are read.
const MAX_QUERY_BYTES: usize = 8 * 1024;
/// Terms of a question that are looked for: of more, those that few items hold.
const MAX_QUERY_TERMS: usize = 64;

const WORDS: Field = Field {
    k1: 0.6,
    b: 0.5,
    window: &[(0, 1.0), (-1, 0.5), (1, 0.3), (-2, 0.2), (2, 0.1)],
};
const DENSE_WEIGHT: f64 = 1.2;
const SPEAKER_WEIGHT: f64 = 0.7;
/// What importance 1 adds over importance 0.5, and 0 takes away.
const IMPORTANCE_WEIGHT: f64 = 0.25;

/// The items that answer the question, best first, at most as many as it asks for. What nothing speaks for is left out.
#[must_use]
pub fn rank(index: &Index, query: &Query<'_>) -> Vec<Ranked> {
    let text = cut(query.text, MAX_QUERY_BYTES);
    let allowed = allowed(index, &query.filter);
    let participants = Participants::of(index);
    let terms = query_terms(index, &participants, text);
    let words = WORDS.scores(index, &terms);
    let dense = query.dense.first().map(|view| cosines(index, view));
    let named = participants.named_in(text);
    let words_scale = Scale::of(&words, &allowed);
    let dense_scale = dense.as_ref().map(|dense| Scale::of(dense, &allowed));
    let mut found: Vec<_> = allowed
        .iter()
        .filter_map(|slot| {
            let record = index.record(*slot)?;
            let at = *slot as usize;
            let word = f64::from(*words.get(at)?);
            let mut parts = vec![Part {
                feature: "words",
                value: word,
                contribution: words_scale.standard(word),
            }];
            if let (Some(dense), Some(scale)) = (&dense, &dense_scale) {
                let value = f64::from(*dense.get(at)?);
                parts.push(Part {
                    feature: "meaning",
                    value,
                    contribution: DENSE_WEIGHT * scale.standard(value),
                });
            } else if word == 0.0 {
                return None;
            }
            if named.len() == 1 {
                let value = if named.contains(&record.speaker) {
                    1.0
                } else {
                    -1.0
                };
                parts.push(Part {
                    feature: "speaker",
                    value,
                    contribution: SPEAKER_WEIGHT * value,
                });
            }
            let importance = f64::from(record.importance) - 0.5;
            if importance != 0.0 {
                parts.push(Part {
                    feature: "importance",
                    value: f64::from(record.importance),
                    contribution: IMPORTANCE_WEIGHT * 2.0 * importance,
                });
            }
            Some(Ranked {
                id: record.id,
                score: parts.iter().map(|part| part.contribution).sum(),
                parts,
            })
        })
        .collect();
    found.sort_by(|left, right| right.score.total_cmp(&left.score).then(left.id.cmp(&right.id)));
    found.truncate(query.limit);
    found
}

/// How far values are from what is usual among the allowed: their mean and standard deviation.
struct Scale {
    mean: f64,
    deviation: f64,
}

impl Scale {
    fn of(values: &[f32], allowed: &[u32]) -> Self {
        let (mut sum, mut squares) = (0.0, 0.0);
        for slot in allowed {
            let value = f64::from(values.get(*slot as usize).copied().unwrap_or(0.0));
            sum += value;
            squares += value * value;
        }
        let count = allowed.len().max(1) as f64;
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        Self { mean, deviation }
    }

    fn standard(&self, value: f64) -> f64 {
        (value - self.mean) / (self.deviation + 1e-9)
    }
}

/// The cosine of every slot; that of the last hit for those that were not found.
fn cosines(index: &Index, view: &DenseView) -> Vec<f32> {
    let known = |cosine: f32| cosine.is_finite();
    let least = view
        .hits
        .iter()
        .map(|(_, cosine)| *cosine)
        .filter(|cosine| known(*cosine))
        .fold(f32::INFINITY, f32::min);
    let least = if known(least) { least } else { 0.0 };
    let mut cosines = vec![least; index.slots()];
    for (id, cosine) in view.hits.iter().filter(|(_, cosine)| known(*cosine)) {
        if let Some(slot) = index.slot(*id)
            && let Some(value) = cosines.get_mut(slot as usize)
        {
            *value = *cosine;
        }
    }
    cosines
}

/// The terms of the question that the index knows, each once, without the names of those who take part.
fn query_terms(index: &Index, participants: &Participants, text: &str) -> Vec<QueryTerm> {
    let names: BTreeSet<String> = participants
        .name_words()
        .into_iter()
        .flat_map(|name| index.terms_of(name))
        .collect();
    let mut seen = BTreeSet::new();
    let mut terms: Vec<_> = index
        .terms_of(text)
        .into_iter()
        .filter(|term| !names.contains(term) && seen.insert(term.clone()))
        .filter_map(|term| index.term_number(&term))
        .map(|number| QueryTerm {
            number,
            idf: idf(index.len(), index.frequency(number)),
        })
        .collect();
    if terms.len() > MAX_QUERY_TERMS {
        terms.sort_by(|left, right| right.idf.total_cmp(&left.idf));
        terms.truncate(MAX_QUERY_TERMS);
    }
    terms
}

/// The slots that the filter lets through.
fn allowed(index: &Index, filter: &Filter) -> Vec<u32> {
    let agent = match &filter.agent {
        Some(name) => match index.agent_number(name) {
            Some(number) => Some(number),
            None => return Vec::new(),
        },
        None => None,
    };
    let passes = |record: &Record| {
        (filter.include_superseded || !record.superseded)
            && agent.is_none_or(|agent| agent == record.agent)
            && (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
            && (filter.labels.is_empty() || filter.labels.contains(&record.label))
            && (filter.sessions.is_empty()
                || record.session_id.is_some_and(|id| filter.sessions.contains(&id)))
            && filter.from_ms.is_none_or(|from| record.time_ms >= from)
            && filter.until_ms.is_none_or(|until| record.time_ms < until)
    };
    index
        .records()
        .filter(|(_, record)| passes(record))
        .map(|(slot, _)| slot)
        .collect()
}

/// The beginning of a text, at most `bytes` long, up to the end of a character.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
