//! Whose turn it is: whoever has been given least goes first, and nobody saves turns up by staying away.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Those who left and are not forgotten are looked through when there are twice as many as after the last look, from here on.
const FORGET_FROM: usize = 64;

/// Those who have something waiting, in the order of their turns. Start-time fair queueing (Goyal, Vin and Cheng, 1996): a
/// turn begins where the last one ended plus its weight, and never before the turn that is being served.
#[derive(Debug)]
pub(crate) struct Turns<K> {
    line: BTreeMap<Place, K>,
    /// Where the next turn begins of those who were served and have nothing waiting now.
    left: HashMap<K, u64>,
    forget_at: usize,
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

impl<K> Turn<K> {
    fn end(&self, weight: usize) -> u64 {
        let weight = u64::try_from(weight).unwrap_or(u64::MAX);
        self.begins.saturating_add(weight)
    }
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self {
            line: BTreeMap::new(),
            left: HashMap::new(),
            forget_at: FORGET_FROM,
            served: 0,
            came: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// Whoever had nothing waiting comes after those who are still to be served in this round, and before the others; but
    /// after what it was served before it left.
    pub(crate) fn join(&mut self, key: K) {
        let owed = self.left.remove(&key).unwrap_or_default();
        self.place(owed.max(self.served), key);
    }

    /// Whoever was served with so much and has nothing more. When nobody waits, nobody is owed anything.
    pub(crate) fn leave(&mut self, turn: Turn<K>, weight: usize) {
        if self.line.is_empty() {
            self.left.clear();
            return;
        }
        if self.left.len() >= self.forget_at {
            self.left.retain(|_, end| *end > self.served);
            self.forget_at = FORGET_FROM.max(self.left.len().saturating_mul(2));
        }
        let end = turn.end(weight);
        self.left.insert(turn.of, end);
    }

    /// Whoever was served with so much and has more.
    pub(crate) fn again(&mut self, turn: Turn<K>, weight: usize) {
        let end = turn.end(weight);
        self.place(end, turn.of);
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
