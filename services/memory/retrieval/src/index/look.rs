//! What ranking reads of the index.

use uuid::Uuid;

use super::{Entries, Index, Place, Record};

impl Index {
    pub(crate) fn record(&self, slot: u32) -> Option<&Record> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn slot(&self, id: Uuid) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// Items with their slots, in the order they were put.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, &Record)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(slot, record)| Some((slot, record.as_ref()?)))
    }

    /// Where each slot stands.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Where a slot stands; none for [`NONE`](super::NONE).
    pub(crate) fn place(&self, slot: u32) -> Option<Place> {
        self.places.get(slot as usize).copied()
    }

    pub(crate) fn term_number(&self, term: &str) -> Option<u32> {
        self.terms.number(term)
    }

    /// The term of a word of [`words`](crate::analysis::words).
    pub(crate) fn term_of(&self, word: &str) -> Option<String> {
        self.analyzer.term(word)
    }

    /// Items that hold a term.
    pub(crate) fn frequency(&self, term: u32) -> u32 {
        self.terms.frequency(term)
    }

    /// Slots that hold a term, with how often; those of items that are gone included.
    pub(crate) fn entries(&self, term: u32) -> Option<Entries<'_>> {
        self.terms.entries(term)
    }

    /// From the earliest to the latest moment of an item or of these; both 0 without any.
    pub(crate) fn time_span(&self, others: impl Iterator<Item = i64>) -> (i64, i64) {
        let times = self.records().map(|(_, record)| record.time_ms).chain(others);
        let span = times.fold(None, |span: Option<(i64, i64)>, time| {
            let (first, last) = span.unwrap_or((time, time));
            Some((first.min(time), last.max(time)))
        });
        span.unwrap_or_default()
    }

    /// Who has said something: each with a number and how many items are theirs.
    pub(crate) fn speakers(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        self.speakers.in_use()
    }

    pub(crate) fn speaker_name(&self, number: u32) -> &str {
        self.speakers.name(number)
    }

    pub(crate) fn agent_number(&self, name: &str) -> Option<u32> {
        self.agents.number(name)
    }
}
