//! What ranking reads of the index.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Entries, Index, NONE, Record};

impl Index {
    pub(crate) fn record(&self, slot: u32) -> Option<&Record> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn slot(&self, id: Uuid) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Slots, empty ones included: every slot is below this.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Items with their slots, in the order they were put.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(slot, record)| Some((slot, record.as_ref()?)))
    }

    /// The slots before and after in the session; [`NONE`] where it begins and ends.
    pub(crate) fn neighbours(&self, slot: u32) -> (u32, u32) {
        self.links.get(slot as usize).copied().unwrap_or((NONE, NONE))
    }

    /// The slot `steps` further in the session, backwards when negative.
    pub(crate) fn beside(&self, mut slot: u32, steps: i32) -> u32 {
        for _ in 0..steps.unsigned_abs() {
            let (before, after) = self.neighbours(slot);
            slot = if steps < 0 { before } else { after };
        }
        slot
    }

    /// Terms in the item of a slot.
    pub(crate) fn length(&self, slot: u32) -> u32 {
        self.lengths.get(slot as usize).copied().unwrap_or(0)
    }

    pub(crate) fn term_number(&self, term: &str) -> Option<u32> {
        self.terms.number(term)
    }

    pub(crate) fn terms_of(&self, text: &str) -> Vec<String> {
        self.analyzer.terms(text)
    }

    /// Items that hold a term.
    pub(crate) fn frequency(&self, term: u32) -> u32 {
        self.terms.frequency(term)
    }

    /// Slots that hold a term, with how often; those of items that are gone included.
    pub(crate) fn entries(&self, term: u32) -> Option<Entries<'_>> {
        self.terms.entries(term)
    }

    /// Who has said something, with a number and how many items are theirs.
    pub(crate) fn speakers(&self) -> BTreeMap<&str, (u32, u32)> {
        self.speakers.in_use()
    }

    pub(crate) fn speaker_name(&self, number: u32) -> &str {
        self.speakers.name(number)
    }

    pub(crate) fn agent_number(&self, name: &str) -> Option<u32> {
        self.agents.number(name)
    }
}
