//! The memories of one owner in memory: what holds which term, what stands beside what, and what each item is.
//!
//! An item has a *slot*, a number that only grows. What is removed leaves its slot empty until a third of the slots are,
//! when the whole index is packed anew; so putting and removing one item costs what that item costs.

mod look;
mod names;
mod postings;
mod sessions;
mod terms;

use std::collections::HashMap;

use uuid::Uuid;

use crate::analysis::Analyzer;
use crate::item::{Item, Kind};
use names::Names;
pub(crate) use postings::Entries;
use postings::{put_varint, take_varint};
use sessions::Sessions;
use terms::Terms;

/// Terms of an item that count. A text with more is found by its first ones.
const MAX_TERMS: usize = 8192;
/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
/// Empty slots that are never worth packing away.
const FEW: usize = 1024;

/// The lexical index of one owner.
pub struct Index {
    analyzer: Analyzer,
    slots: Vec<Option<Record>>,
    /// The slots before and after each in its session.
    links: Vec<(u32, u32)>,
    /// Terms of each slot; 0 for an empty one.
    lengths: Vec<u32>,
    by_id: HashMap<Uuid, u32>,
    terms: Terms,
    sessions: Sessions,
    speakers: Names,
    agents: Names,
    total_length: u64,
    /// Bytes of the texts and packed terms.
    contents: usize,
}

/// An item as it is kept.
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) text: Box<str>,
    /// Term numbers in the order of the text, packed.
    terms: Box<[u8]>,
    pub(crate) time_ms: i64,
    /// [`NONE`] without a session.
    pub(crate) session: u32,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) ordinal: u32,
    pub(crate) speaker: u32,
    pub(crate) agent: u32,
    pub(crate) importance: f32,
    pub(crate) kind: Kind,
    pub(crate) label: u8,
    pub(crate) superseded: bool,
}

impl Record {
    /// The numbers of the item's terms, in the order of its text.
    pub(crate) fn terms(&self) -> impl Iterator<Item = u32> + '_ {
        let mut rest = &*self.terms;
        std::iter::from_fn(move || take_varint(&mut rest).and_then(|number| u32::try_from(number).ok()))
    }

    fn contents(&self) -> usize {
        self.text.len() + self.terms.len()
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    #[must_use]
    pub fn new() -> Self {
        Self {
            analyzer: Analyzer::new(),
            slots: Vec::new(),
            links: Vec::new(),
            lengths: Vec::new(),
            by_id: HashMap::new(),
            terms: Terms::default(),
            sessions: Sessions::default(),
            speakers: Names::default(),
            agents: Names::default(),
            total_length: 0,
            contents: 0,
        }
    }

    /// Adds an item, or takes the place of the one with its id.
    pub fn put(&mut self, item: Item) {
        self.empty(item.id);
        let numbers = self.numbers(&item.text);
        let record = Record {
            id: item.id,
            text: item.text.into_boxed_str(),
            terms: packed(&numbers),
            time_ms: item.time_ms,
            session: NONE,
            session_id: item.session,
            ordinal: item.ordinal,
            speaker: self.speakers.take(&item.speaker),
            agent: self.agents.take(&item.agent),
            importance: if item.importance.is_nan() {
                0.5
            } else {
                item.importance.clamp(0.0, 1.0)
            },
            kind: item.kind,
            label: item.label,
            superseded: item.superseded,
        };
        self.insert(record, &numbers);
        self.pack_if_worth_it();
    }

    /// Takes an item out; nothing when it is not there.
    pub fn remove(&mut self, id: Uuid) {
        self.empty(id);
        self.pack_if_worth_it();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    #[must_use]
    pub fn contains(&self, id: Uuid) -> bool {
        self.by_id.contains_key(&id)
    }

    /// What the index takes of memory, close to what the allocator gives it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Option<Record>>();
        let arrays = self.links.capacity() * size_of::<(u32, u32)>() + self.lengths.capacity() * 4;
        let ids = self.by_id.capacity() * (size_of::<(Uuid, u32)>() + 1) * 8 / 7;
        // Two allocations an item, each rounded up.
        let contents = self.contents + self.by_id.len() * 2 * 16;
        let tables = self.terms.bytes() + self.sessions.bytes() + self.speakers.bytes() + self.agents.bytes();
        size_of::<Self>() + slots + arrays + ids + contents + tables
    }

    fn insert(&mut self, mut record: Record, numbers: &[u32]) {
        let slot = u32::try_from(self.slots.len()).unwrap_or(NONE);
        if slot == NONE {
            return;
        }
        self.post(slot, numbers);
        record.session = record
            .session_id
            .map_or(NONE, |id| self.sessions.number_or_new(id));
        let length = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        self.total_length += u64::from(length);
        self.contents += record.contents();
        self.by_id.insert(record.id, slot);
        let (session, place) = (record.session, (record.ordinal, record.id));
        self.slots.push(Some(record));
        self.lengths.push(length);
        self.links.push((NONE, NONE));
        if session != NONE {
            self.sessions.put(session, place, slot);
            let (before, after) = self.sessions.around(session, place);
            self.join(before.unwrap_or(NONE), slot);
            self.join(slot, after.unwrap_or(NONE));
        }
    }

    fn numbers(&mut self, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        for word in crate::analysis::words(text) {
            if let Some(term) = self.analyzer.term(&word) {
                numbers.push(self.terms.number_or_new(&term));
                if numbers.len() == MAX_TERMS {
                    break;
                }
            }
        }
        numbers
    }

    fn post(&mut self, slot: u32, numbers: &[u32]) {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        for run in sorted.chunk_by(|left, right| left == right) {
            if let Some(term) = run.first() {
                self.terms
                    .push(*term, slot, u32::try_from(run.len()).unwrap_or(u32::MAX));
            }
        }
    }

    fn join(&mut self, left: u32, right: u32) {
        if let Some(link) = self.links.get_mut(left as usize) {
            link.1 = right;
        }
        if let Some(link) = self.links.get_mut(right as usize) {
            link.0 = left;
        }
    }

    fn empty(&mut self, id: Uuid) {
        let Some(slot) = self.by_id.remove(&id) else {
            return;
        };
        let Some(record) = self.slots.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        let mut numbers: Vec<u32> = record.terms().collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            self.terms.forget_one(number);
        }
        self.speakers.give_back(record.speaker);
        self.agents.give_back(record.agent);
        self.contents -= record.contents();
        if let Some(length) = self.lengths.get_mut(slot as usize) {
            self.total_length -= u64::from(*length);
            *length = 0;
        }
        if record.session != NONE {
            self.sessions.remove(record.session, (record.ordinal, record.id));
            let (before, after) = self.neighbours(slot);
            self.join(before, after);
        }
    }

    fn pack_if_worth_it(&mut self) {
        let empty = self.slots.len() - self.by_id.len();
        if empty > FEW && empty * 3 > self.slots.len() {
            self.pack();
        }
    }

    /// Makes the index anew from what it holds, without the words of what is gone.
    fn pack(&mut self) {
        let renumbered = self.terms.clear_entries();
        let records = std::mem::take(&mut self.slots);
        self.links.clear();
        self.lengths.clear();
        self.by_id.clear();
        self.sessions = Sessions::default();
        self.total_length = 0;
        self.contents = 0;
        for mut record in records.into_iter().flatten() {
            let numbers: Vec<u32> = record
                .terms()
                .filter_map(|number| renumbered.get(number as usize).copied())
                .collect();
            record.terms = packed(&numbers);
            self.insert(record, &numbers);
        }
    }
}

fn packed(numbers: &[u32]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(numbers.len() * 2);
    for number in numbers {
        put_varint(&mut bytes, u64::from(*number));
    }
    bytes.into_boxed_slice()
}

#[cfg(test)]
pub(crate) mod tests;
