//! Making room: packing away what items have left that are gone, and letting the oldest go where there is too much.

use uuid::Uuid;

use super::sessions::Sessions;
use super::{Index, packed};

/// Empty slots that are never worth packing away.
const FEW: usize = 1024;
/// What an item weighs beside its text and terms, in bytes.
pub(super) const ITEM: usize = 256;
/// The part of the index that is put or goes between two packings, at least: what one costs is shared by that.
const PART: usize = 8;

impl Index {
    /// Lets those go that were put before all others, an eighth at once, until the index takes at most so many bytes; whether
    /// any went. What others have left that are gone already goes first.
    pub fn fit(&mut self, most: usize) -> bool {
        if self.bytes() <= most {
            return false;
        }
        if self.fresh >= self.weight() / PART {
            self.pack();
        }
        let before = self.len();
        while self.bytes() > most && !self.is_empty() {
            let weight = self.weight();
            let stays = weight - weight.div_ceil(PART);
            while self.weight() > stays && self.remove_oldest().is_some() {}
            self.pack();
        }
        self.len() < before
    }

    /// Takes the item out that was put before all others; its id.
    pub(super) fn remove_oldest(&mut self) -> Option<Uuid> {
        loop {
            match self.slots.get(self.first)? {
                Some(record) => {
                    let id = record.id;
                    self.empty(id);
                    return Some(id);
                }
                None => self.first += 1,
            }
        }
    }

    pub(super) fn pack_if_worth_it(&mut self) {
        let empty = self.slots.len() - self.by_id.len();
        if empty > FEW && empty * 3 > self.slots.len() {
            self.pack();
        }
    }

    fn weight(&self) -> usize {
        self.contents + self.len() * ITEM
    }

    /// Makes the index anew from what it holds, without the words and names of what is gone.
    fn pack(&mut self) {
        let renumbered = self.terms.clear_entries();
        let (speakers, agents) = (self.speakers.forget_unused(), self.agents.forget_unused());
        let new = |numbers: &[u32], number: u32| numbers.get(number as usize).copied();
        let records = std::mem::take(&mut self.slots);
        self.places = Vec::new();
        self.by_id = std::collections::HashMap::with_capacity(self.by_id.len());
        self.sessions = Sessions::default();
        self.contents = 0;
        self.first = 0;
        self.fresh = 0;
        for mut record in records.into_iter().flatten() {
            let numbers: Vec<u32> = record
                .terms()
                .filter_map(|number| new(&renumbered, number))
                .collect();
            record.terms = packed(&numbers);
            record.speaker = new(&speakers, record.speaker).unwrap_or(u32::MAX);
            record.agent = new(&agents, record.agent).unwrap_or(u32::MAX);
            self.insert(record, &numbers);
        }
    }
}
