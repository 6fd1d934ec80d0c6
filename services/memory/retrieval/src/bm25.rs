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

/// What a word counts that the item has itself, or one beside it in its session.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) own: f32,
    pub(crate) before: f32,
    pub(crate) after: f32,
    pub(crate) two_before: f32,
    pub(crate) two_after: f32,
}

impl Window {
    /// Only its own words.
    pub(crate) const OWN: Self = Self {
        own: 1.0,
        before: 0.0,
        after: 0.0,
        two_before: 0.0,
        two_after: 0.0,
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
        let mean = (lengths.iter().sum::<f32>() / index.len().max(1) as f32).max(1e-9);
        let limit = |length: f32| self.k1 * (1.0 - self.b + self.b * length / mean);
        let mut scores = vec![0.0; places.len()];
        let mut counts = vec![0.0; places.len()];
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
                *score += term.idf * *count * (self.k1 + 1.0) / (*count + limit(*length));
                *count = 0.0;
            }
        }
        scores
    }

    /// Adds up how often the term is in and beside each slot.
    fn spread(&self, index: &Index, term: u32, counts: &mut [f32], touched: &mut Vec<u32>) {
        let mut add = |slot: u32, count: f32| {
            if count > 0.0
                && let Some(sum) = counts.get_mut(slot as usize)
            {
                if *sum == 0.0 {
                    touched.push(slot);
                }
                *sum += count;
            }
        };
        for (slot, count) in index.entries(term).into_iter().flatten() {
            let Some(place) = index.place(slot).filter(|place| place.length > 0) else {
                continue;
            };
            let count = count as f32;
            add(slot, self.window.own * count);
            // For the item after it, this one is the one before.
            if let Some(after) = index.place(place.after) {
                add(place.after, self.window.before * count);
                add(after.after, self.window.two_before * count);
            }
            if let Some(before) = index.place(place.before) {
                add(place.before, self.window.after * count);
                add(before.before, self.window.two_after * count);
            }
        }
    }

    /// The length of each slot with what is beside it; 0 for an empty one.
    fn lengths(&self, places: &[Place]) -> Vec<f32> {
        let at = |slot: u32| places.get(slot as usize);
        let length = |place: Option<&Place>| place.map_or(0.0, |place| place.length as f32);
        let with_neighbours = |place: &Place| {
            let (before, after) = (at(place.before), at(place.after));
            self.window.own * place.length as f32
                + self.window.before * length(before)
                + self.window.after * length(after)
                + self.window.two_before * length(before.and_then(|place| at(place.before)))
                + self.window.two_after * length(after.and_then(|place| at(place.after)))
        };
        places.iter().map(with_neighbours).collect()
    }
}
