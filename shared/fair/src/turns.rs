//! Whose turn it is: whoever has been given least goes first, and nobody saves turns up by staying away.

use std::collections::BTreeMap;

/// Those who have something waiting, in the order of their turns. Start-time fair queueing (Goyal, Vin and Cheng, 1996): a
/// turn begins where the last one ended plus its weight, and never before the turn that is being served.
#[derive(Debug)]
pub(crate) struct Turns<K> {
    line: BTreeMap<Place, K>,
    /// Where the turn that was served last began.
    served: u64,
    came: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    begins: u64,
    came: u64,
}

/// A turn that has come.
#[derive(Debug)]
pub(crate) struct Turn<K> {
    pub(crate) of: K,
    begins: u64,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            line: BTreeMap::new(),
            served: 0,
            came: 0,
        }
    }
}

impl<K: Clone> Turns<K> {
    /// Whoever had nothing waiting comes after those who are still to be served in this round, and before the others.
    pub(crate) fn join(&mut self, key: K) {
        self.place(self.served, key);
    }

    /// Whoever was served with so much and has more.
    pub(crate) fn again(&mut self, turn: Turn<K>, weight: usize) {
        let weight = u64::try_from(weight).unwrap_or(u64::MAX);
        self.place(turn.begins.saturating_add(weight), turn.of);
    }

    pub(crate) fn next(&mut self) -> Option<Turn<K>> {
        let (place, of) = self.line.pop_first()?;
        self.served = place.begins;
        Some(Turn {
            of,
            begins: place.begins,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    fn place(&mut self, begins: u64, key: K) {
        self.came = self.came.saturating_add(1);
        let place = Place {
            begins,
            came: self.came,
        };
        self.line.insert(place, key);
    }
}
