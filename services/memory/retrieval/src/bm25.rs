//! BM25 over items and the items beside them: a word that was said just before counts for what was said next, for less.

use crate::index::{Index, NONE};

/// A term of a question that the index knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QueryTerm {
    pub(crate) number: u32,
    pub(crate) idf: f32,
}

/// How items are scored: the usual parameters, and what the words of an item some steps further count.
pub(crate) struct Field {
    /// How soon a word's repetition adds nothing.
    pub(crate) k1: f32,
    /// How much a long item's words count less.
    pub(crate) b: f32,
    /// Steps along the session, with what words there count.
    pub(crate) window: &'static [(i32, f32)],
}

/// How rare a term is that `frequency` of `items` hold; after Robertson and Spärck Jones, never negative.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a weight, and far from an f32's bounds"
)]
pub(crate) fn idf(items: usize, frequency: u32) -> f32 {
    let (items, frequency) = (items as f64, f64::from(frequency));
    (1.0 + (items - frequency + 0.5).max(0.0) / (frequency + 0.5)).ln() as f32
}

impl Field {
    /// The score of every slot; 0 where no term is.
    pub(crate) fn scores(&self, index: &Index, terms: &[QueryTerm]) -> Vec<f32> {
        let lengths = self.lengths(index);
        let items = index.len().max(1) as f32;
        let mean = (lengths.iter().sum::<f32>() / items).max(1e-9);
        let mut scores = vec![0.0; index.slots()];
        let mut counts = vec![0.0f32; index.slots()];
        let mut touched = Vec::new();
        for term in terms {
            self.spread(index, term.number, &mut counts, &mut touched);
            for slot in touched.drain(..) {
                let at = slot as usize;
                let (Some(count), Some(score), Some(length)) =
                    (counts.get_mut(at), scores.get_mut(at), lengths.get(at))
                else {
                    continue;
                };
                let limit = self.k1 * (1.0 - self.b + self.b * length / mean);
                *score += term.idf * *count * (self.k1 + 1.0) / (*count + limit);
                *count = 0.0;
            }
        }
        scores
    }

    /// Adds up how often the term is in and beside each slot.
    fn spread(&self, index: &Index, term: u32, counts: &mut [f32], touched: &mut Vec<u32>) {
        for (slot, count) in index.entries(term).into_iter().flatten() {
            if index.record(slot).is_none() {
                continue;
            }
            for (steps, weight) in self.window {
                let target = index.beside(slot, -steps);
                if let Some(sum) = counts.get_mut(target as usize) {
                    if *sum == 0.0 {
                        touched.push(target);
                    }
                    *sum += weight * count as f32;
                }
            }
        }
    }

    /// The length of each slot with what is beside it; 0 for an empty one.
    fn lengths(&self, index: &Index) -> Vec<f32> {
        let mut lengths = vec![0.0; index.slots()];
        for (slot, _) in index.records() {
            if let Some(length) = lengths.get_mut(slot as usize) {
                *length = self
                    .window
                    .iter()
                    .map(|(steps, weight)| (index.beside(slot, *steps), weight))
                    .filter(|(beside, _)| *beside != NONE)
                    .map(|(beside, weight)| weight * index.length(beside) as f32)
                    .sum();
            }
        }
        lengths
    }
}
