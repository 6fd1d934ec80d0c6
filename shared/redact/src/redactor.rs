//! Redaction of a stream: the same result as for the whole text, with bounded memory.

use std::collections::BTreeMap;

use crate::machine::{Depth, Machine, More, Sink, WINDOW};
use crate::{Scanner, marker};

/// Takes bytes as they come and gives back those that are safe to show, with secrets replaced.
///
/// A line is held back until it is complete; a line of more than 32 KiB, and a secret that reaches the end of
/// such a window, are cut on the safe side. At most [`Redactor::HELD`] bytes plus one push are held.
///
/// What [`Redactor::push`] has returned holds whatever follows. Who stops in the middle of a stream must drop what is
/// held instead of calling [`Redactor::finish`], which takes it for the end: half a secret is not recognised.
pub struct Redactor {
    scanner: Scanner,
    machine: Machine,
    held: Vec<u8>,
    counts: BTreeMap<&'static str, u64>,
}

impl Redactor {
    /// The most bytes that are held back after a push: a line of one window, and the beginning of the next.
    pub const HELD: usize = 2 * WINDOW;

    /// A redactor for one stream.
    pub fn new(scanner: &Scanner) -> Self {
        Self {
            scanner: scanner.clone(),
            machine: Machine::new(Depth::Plain),
            held: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Adds the next bytes of the stream; returns what is decided by now. The bytes need not be UTF-8,
    /// nor be cut at character boundaries.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.held.is_empty() {
            let (clean, taken) = self.advance(bytes, More::Maybe);
            self.held
                .extend_from_slice(bytes.get(taken..).unwrap_or_default());
            return clean;
        }
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let (clean, taken) = self.advance(&held, More::Maybe);
        self.held = held;
        self.held.drain(..taken);
        clean
    }

    /// Ends the stream and returns the rest. Pushing afterwards begins a new stream; the counts go on.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let (clean, _) = self.advance(&held, More::Never);
        self.machine = Machine::new(Depth::Plain);
        clean
    }

    /// How many secrets of each kind were replaced so far.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    fn advance(&mut self, bytes: &[u8], more: More) -> (Vec<u8>, usize) {
        let mut clean = Clean {
            out: Vec::with_capacity(bytes.len()),
            counts: &mut self.counts,
        };
        let taken = self.machine.advance(&self.scanner, bytes, more, &mut clean);
        (clean.out, taken)
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(Scanner::shared())
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the held bytes may be a secret
        f.debug_struct("Redactor")
            .field("held", &self.held.len())
            .field("counts", &self.counts)
            .finish()
    }
}

struct Clean<'a> {
    out: Vec<u8>,
    counts: &'a mut BTreeMap<&'static str, u64>,
}

impl Sink for Clean<'_> {
    fn plain(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn open(&mut self, kind: &'static str) {
        self.out.extend_from_slice(marker(kind).as_bytes());
        *self.counts.entry(kind).or_default() += 1;
    }

    fn swallow(&mut self, _len: usize) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Redactor;

    fn stretch() -> impl Strategy<Value = Vec<u8>> {
        let header = ["-----BEGIN ", "PRIVATE KEY-----"].concat().into_bytes();
        prop_oneof![
            Just(header),
            Just(b"\n".to_vec()),
            (1..70_000_usize, prop::sample::select(b"aA= \"\r".to_vec()))
                .prop_map(|(length, byte)| vec![byte; length]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_held_is_bounded(stretches in prop::collection::vec(stretch(), 1..10), piece in 1_usize..9000) {
            let mut redactor = Redactor::default();
            for bytes in stretches.concat().chunks(piece) {
                redactor.push(bytes);
                prop_assert!(redactor.held.len() <= Redactor::HELD, "{}", redactor.held.len());
            }
        }
    }
}
