//! BM25 over items and the items beside them: a word that was said just before counts for what was said next, for less.

use crate::index::{Index, Place};

/// A term of a question that the index knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QueryTerm {
    pub(crate) number: u32,
    pub(crate) idf: f32,
}

/// How items are scored: the usual parameters, and what the words beside an item count.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    /// How soon a word's repetition adds nothing.
    pub(crate) k1: f32,
    /// How much a long item's words count less.
    pub(crate) b: f32,
    pub(crate) window: Window,
}

/// What a word counts that the item has itself, or one beside it in its session: in tenths, since whole numbers add up
/// to the same in any order.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) own: u32,
    pub(crate) before: u32,
    pub(crate) after: u32,
    pub(crate) two_before: u32,
    pub(crate) two_after: u32,
}

impl Window {
    /// Only its own words.
    pub(crate) const OWN: Self = Self {
        own: 10,
        before: 0,
        after: 0,
        two_before: 0,
        two_after: 0,
    };
}

/// How rare a term is that `frequency` of `items` hold; after Robertson and Spärck Jones, never negative.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a weight, far from an f32's bounds"
)]
pub(crate) fn idf(items: usize, frequency: u32) -> f32 {
    let (items, frequency) = (items as f64, f64::from(frequency));
    (1.0 + (items - frequency + 0.5).max(0.5) / (frequency + 0.5)).ln() as f32
}

impl Field {
    /// The score of every slot; 0 where no term is.
    pub(crate) fn scores(&self, index: &Index, terms: &[QueryTerm]) -> Vec<f32> {
        let places = index.places();
        let lengths = self.lengths(places);
        let mean = mean(&lengths, index.len());
        let mut scores = vec![0.0; places.len()];
        let mut counts = vec![0u32; places.len()];
        let mut touched = Vec::new();
        for term in terms {
            self.spread(index, term.number, &mut counts, &mut touched);
            for slot in touched.drain(..) {
                let at = slot as usize;
                let (Some(tenths), Some(score), Some(length)) =
                    (counts.get_mut(at), scores.get_mut(at), lengths.get(at))
                else {
                    continue;
                };
                let count = *tenths as f32 / 10.0;
                *score += self.score(*term, count, *length, mean);
                *tenths = 0;
            }
        }
        scores
    }

    /// What a term adds to the score of a text that has it so often; both lengths are in tenths.
    fn score(&self, term: QueryTerm, count: f32, length: u32, mean: f32) -> f32 {
        let limit = self.k1 * (1.0 - self.b + self.b * length as f32 / mean);
        term.idf * count * (self.k1 + 1.0) / (count + limit)
    }

    /// The score of a text with these terms, in their order, of which is not known what stands beside it. `mean` is that of
    /// the index, if it has items.
    pub(crate) fn score_alone(&self, terms: &[QueryTerm], text: &[u32], mean: Option<f32>) -> f32 {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let length = length.saturating_mul(self.window.own);
        let mean = mean.unwrap_or(length as f32).max(1e-9);
        let count = |term: &QueryTerm| text.iter().filter(|number| **number == term.number).count();
        let counted = terms.iter().map(|term| (*term, count(term)));
        counted
            .filter(|(_, count)| *count > 0)
            .map(|(term, count)| self.score(term, count as f32, length, mean))
            .sum()
    }

    /// The mean length of the index's items, in tenths; none without items.
    pub(crate) fn mean_length(&self, index: &Index) -> Option<f32> {
        (!index.is_empty()).then(|| mean(&self.lengths(index.places()), index.len()))
    }

    /// Adds up how often the term is in and beside each slot, in tenths.
    fn spread(&self, index: &Index, term: u32, counts: &mut [u32], touched: &mut Vec<u32>) {
        let mut add = |slot: u32, weight: u32, count: u32| {
            if weight > 0
                && let Some(sum) = counts.get_mut(slot as usize)
            {
                if *sum == 0 {
                    touched.push(slot);
                }
                *sum = sum.saturating_add(weight.saturating_mul(count));
            }
        };
        let window = self.window;
        for (slot, count) in index.entries(term).into_iter().flatten() {
            let Some(place) = index.place(slot).filter(|place| place.length > 0) else {
                continue;
            };
            add(slot, window.own, count);
            // For the item after it, this one is the one before.
            if let Some(after) = index.place(place.after) {
                add(place.after, window.before, count);
                add(after.after, window.two_before, count);
            }
            if let Some(before) = index.place(place.before) {
                add(place.before, window.after, count);
                add(before.before, window.two_after, count);
            }
        }
    }

    /// The length of each slot with what is beside it, in tenths; 0 for an empty one.
    fn lengths(&self, places: &[Place]) -> Vec<u32> {
        let at = |slot: u32| places.get(slot as usize);
        let length = |place: Option<&Place>| place.map_or(0, |place| place.length);
        let window = self.window;
        let with_neighbours = |place: &Place| {
            let (before, after) = (at(place.before), at(place.after));
            let beside = [
                (window.own, place.length),
                (window.before, length(before)),
                (window.after, length(after)),
                (
                    window.two_before,
                    length(before.and_then(|place| at(place.before))),
                ),
                (window.two_after, length(after.and_then(|place| at(place.after)))),
            ];
            beside.iter().map(|(weight, length)| weight * length).sum()
        };
        places.iter().map(with_neighbours).collect()
    }
}

/// The mean length of the items, never 0.
#[expect(clippy::cast_possible_truncation, reason = "a mean of small numbers")]
fn mean(lengths: &[u32], items: usize) -> f32 {
    let sum: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    (sum as f64 / items.max(1) as f64).max(1e-9) as f32
}
