//! The memories of one owner in memory: what holds which term, what stands beside what, and what each item is.
//!
//! An item has a *slot*, a number that only grows. What is removed leaves its slot, its words and its names behind until the
//! whole index is packed anew: when a third of the slots are empty, or when room is to be made. Either happens so seldom that
//! putting and removing one item costs what that item costs, up to a factor.

mod look;
mod names;
mod postings;
mod room;
mod sessions;
mod terms;

use std::collections::HashMap;

use uuid::Uuid;

use crate::analysis::{Analyzer, words};
use crate::item::{Item, Kind};
use crate::traits::Traits;
use names::Names;
pub(crate) use postings::Entries;
use postings::{put_varint, take_varint};
use sessions::Sessions;
use terms::Terms;

/// Terms of an item that count. A text with more is found by its first ones.
const MAX_TERMS: usize = 8192;
/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// The lexical index of one owner.
pub struct Index {
    analyzer: Analyzer,
    slots: Vec<Option<Record>>,
    /// What scoring reads of each slot.
    places: Vec<Place>,
    by_id: HashMap<Uuid, u32>,
    terms: Terms,
    sessions: Sessions,
    speakers: Names,
    agents: Names,
    /// Bytes of the texts and packed terms.
    contents: usize,
    /// Slots before this one are empty.
    first: usize,
    /// What was put since the index was packed, as [`Record::weight`] has it.
    fresh: usize,
}

/// Where a slot stands. Kept apart from the records because scoring goes through many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The slot before it in its session, or [`NONE`].
    pub(crate) before: u32,
    /// The slot after it in its session, or [`NONE`].
    pub(crate) after: u32,
    /// The number of its session, or [`NONE`].
    pub(crate) session: u32,
    /// Terms of the item; 0 for an empty slot.
    pub(crate) length: u32,
}

impl Place {
    const EMPTY: Self = Self {
        before: NONE,
        after: NONE,
        session: NONE,
        length: 0,
    };
}

/// An item as it is kept.
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) text: Box<str>,
    /// Term numbers in the order of the text, packed.
    terms: Box<[u8]>,
    pub(crate) time_ms: i64,
    pub(crate) session: Option<Uuid>,
    pub(crate) ordinal: u32,
    pub(crate) speaker: u32,
    pub(crate) agent: u32,
    pub(crate) importance: f32,
    pub(crate) kind: Kind,
    pub(crate) label: u8,
    pub(crate) superseded: bool,
    pub(crate) traits: Traits,
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

    /// Bytes, roughly: what it takes to put it once more.
    fn weight(&self) -> usize {
        self.contents() + room::ITEM
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
            places: Vec::new(),
            by_id: HashMap::new(),
            terms: Terms::default(),
            sessions: Sessions::default(),
            speakers: Names::default(),
            agents: Names::default(),
            contents: 0,
            first: 0,
            fresh: 0,
        }
    }

    /// Adds an item, or takes the place of the one with its id.
    pub fn put(&mut self, item: Item) {
        self.empty(item.id);
        let numbers = self.numbers(&item.text);
        let record = Record {
            importance: item.usual_importance(),
            id: item.id,
            traits: Traits::of(&item.text),
            text: item.text.into_boxed_str(),
            terms: packed(&numbers),
            time_ms: item.time_ms,
            session: item.session,
            ordinal: item.ordinal,
            speaker: self.speakers.take(&item.speaker),
            agent: self.agents.take(&item.agent),
            kind: item.kind,
            label: item.label,
            superseded: item.superseded,
        };
        self.fresh = self.fresh.saturating_add(record.weight());
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
        let arrays = self.places.capacity() * size_of::<Place>();
        let ids = self.by_id.capacity() * (size_of::<(Uuid, u32)>() + 1) * 8 / 7;
        // Two allocations an item, each rounded up.
        let contents = self.contents + self.by_id.len() * 2 * 16;
        let tables = self.terms.bytes() + self.sessions.bytes() + self.speakers.bytes() + self.agents.bytes();
        size_of::<Self>() + slots + arrays + ids + contents + tables
    }

    fn insert(&mut self, record: Record, numbers: &[u32]) {
        let slot = u32::try_from(self.slots.len()).unwrap_or(NONE);
        if slot == NONE {
            return;
        }
        self.post(slot, numbers);
        // what was said in a session has something said before and after it; what was saved of it stands beside nothing
        let said = record.session.filter(|_| record.kind == Kind::Turn);
        let session = said.map(|id| self.sessions.number_or_new(id));
        self.contents += record.contents();
        self.by_id.insert(record.id, slot);
        let position = (record.ordinal, record.id);
        // an index of many is to have few bytes that nothing is in
        if self.slots.len() == self.slots.capacity() {
            let more = self.slots.len() / 8 + 16;
            self.slots.reserve_exact(more);
            self.places.reserve_exact(more);
        }
        self.slots.push(Some(record));
        self.places.push(Place {
            session: session.unwrap_or(NONE),
            length: u32::try_from(numbers.len()).unwrap_or(u32::MAX),
            ..Place::EMPTY
        });
        if let Some(session) = session {
            self.sessions.put(session, position, slot);
            let (before, after) = self.sessions.around(session, position);
            self.join(before.unwrap_or(NONE), slot);
            self.join(slot, after.unwrap_or(NONE));
        }
    }

    fn numbers(&mut self, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        for word in words(text) {
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
        if let Some(place) = self.places.get_mut(left as usize) {
            place.after = right;
        }
        if let Some(place) = self.places.get_mut(right as usize) {
            place.before = left;
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
        let Some(place) = self.places.get_mut(slot as usize) else {
            return;
        };
        let Place {
            before,
            after,
            session,
            ..
        } = std::mem::replace(place, Place::EMPTY);
        if session != NONE {
            self.sessions.remove(session, (record.ordinal, record.id));
            self.join(before, after);
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
