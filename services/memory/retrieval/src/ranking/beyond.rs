//! Items that the vectors found and the index does not hold: they are ranked by the same sum, with what can be known of them.

use std::collections::HashMap;

use uuid::Uuid;

use super::allowed;
use crate::analysis::words;
use crate::index::{Index, NONE};
use crate::item::Item;
use crate::query::Query;
use crate::traits::Traits;

/// Terms of such an item that count: it is read anew for each question, and its vector is of its beginning as well.
const MAX_TERMS: usize = 512;

/// Terms as numbers: those of the index, and others for what it does not have.
pub(super) struct Numbering<'a> {
    pub(super) index: &'a Index,
    others: HashMap<String, u32>,
}

impl<'a> Numbering<'a> {
    pub(super) fn of(index: &'a Index) -> Self {
        let others = HashMap::new();
        Self { index, others }
    }

    pub(super) fn number(&self, term: &str) -> Option<u32> {
        let others = || self.others.get(term).copied();
        self.index.term_number(term).or_else(others)
    }

    /// Numbers of the index grow from 0, the others fall from the highest.
    fn number_or_new(&mut self, term: String) -> u32 {
        if let Some(number) = self.number(&term) {
            return number;
        }
        let taken = u32::try_from(self.others.len()).unwrap_or(u32::MAX);
        let number = (NONE - 1).saturating_sub(taken);
        self.others.insert(term, number);
        number
    }
}

/// An item that the index does not hold.
pub(super) struct Outsider<'a> {
    pub(super) item: &'a Item,
    pub(super) cosine: f32,
    /// Its terms in the order of its text.
    pub(super) terms: Vec<u32>,
    pub(super) traits: Traits,
}

impl<'a> Outsider<'a> {
    /// Those that the filter lets through.
    pub(super) fn all(numbering: &mut Numbering<'_>, query: &'a Query<'_>) -> Vec<Self> {
        if query.beyond.is_empty() {
            return Vec::new();
        }
        let hits = query.dense.first().map(|view| view.hits.as_slice());
        let hits = hits.unwrap_or_default().iter();
        let cosines: HashMap<Uuid, f32> = hits.copied().filter(|(_, cosine)| cosine.is_finite()).collect();
        let index = numbering.index;
        let beyond = query.beyond.iter().filter(|item| !index.contains(item.id));
        let beyond = beyond.filter(|item| allowed::lets(&query.filter, item));
        let found = beyond.filter_map(|item| Some((item, *cosines.get(&item.id)?)));
        let read = found.map(|(item, cosine)| {
            let terms = words(&item.text).filter_map(|word| index.term_of(&word));
            Self {
                item,
                cosine,
                terms: terms
                    .take(MAX_TERMS)
                    .map(|term| numbering.number_or_new(term))
                    .collect(),
                traits: Traits::of(&item.text),
            }
        });
        read.collect()
    }
}
