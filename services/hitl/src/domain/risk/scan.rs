//! Looks for all texts that a tool's rules mention in one pass over an argument.
//!
//! Each text is filed under a hash of three neighbouring bytes of it. The scan hashes every three bytes of the
//! argument and compares whole texts only where the table has an entry. Unlike in an automaton no step waits for
//! the one before it, so a core keeps several in flight: an argument of 200 bytes takes about a tenth of a
//! microsecond.
//!
//! Texts are compared without regard to ASCII case, and any ASCII white space stands for any other.

use super::literals::MIN_LITERAL;

/// Bit `n` of a set is atom `n`: a group of texts that a condition needs.
pub(super) type Atoms = u128;

const WHITE_SPACE: [u8; 6] = *b" \t\n\x0b\x0c\r";
/// Three of the four bytes that are read at once.
const WINDOW: u32 = 0x00ff_ffff;
/// Makes letters of both cases equal, and some other bytes, which costs a comparison now and then.
const ONE_CASE: u32 = 0x0020_2020;
/// Spreads windows over the table (Knuth's multiplicative hash).
const SPREAD: u32 = 0x9E37_79B1;

/// The texts of one argument of one tool.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Position in `buckets` by hash; bucket 0 is empty.
    table: Box<[u16]>,
    shift: u32,
    buckets: Vec<Vec<Needle>>,
}

#[derive(Clone, Debug)]
struct Needle {
    /// Folded.
    text: Box<[u8]>,
    /// Where its hashed bytes begin.
    at: usize,
    atoms: Atoms,
}

impl Scanner {
    /// Files `texts` (at least [`MIN_LITERAL`] bytes each) with the atoms they stand for.
    pub(super) fn new(texts: &[(Vec<u8>, Atoms)]) -> Self {
        let bits = (texts.len().max(4) * 64).next_power_of_two().ilog2().min(14);
        let mut scanner = Self {
            table: vec![0; 1 << bits].into_boxed_slice(),
            shift: u32::BITS - bits,
            buckets: vec![Vec::new()],
        };
        for (text, atoms) in texts {
            scanner.file(text.iter().map(|b| fold(*b)).collect(), *atoms);
        }
        scanner
    }

    fn file(&mut self, text: Box<[u8]>, atoms: Atoms) {
        let windows = text.array_windows::<MIN_LITERAL>().enumerate();
        let rarest = windows.max_by_key(|(_, window)| window.iter().map(|b| rarity(*b)).sum::<usize>());
        let Some((at, window)) = rarest else { return };
        let spellings = spellings(*window);
        let needle = Needle { text, at, atoms };
        for [a, b, c] in spellings {
            self.file_under(self.slot([a, b, c, 0]), &needle);
        }
    }

    fn file_under(&mut self, slot: usize, needle: &Needle) {
        let next = u16::try_from(self.buckets.len()).unwrap_or(u16::MAX);
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        if *entry == 0 {
            *entry = next;
            self.buckets.push(Vec::new());
        }
        let Some(bucket) = self.buckets.get_mut(usize::from(*entry)) else {
            return;
        };
        match bucket.iter_mut().find(|known| known.text == needle.text) {
            Some(known) => known.atoms |= needle.atoms,
            None => bucket.push(needle.clone()),
        }
    }

    /// The atoms that have a text in `haystack`.
    pub(super) fn scan(&self, haystack: &[u8]) -> Atoms {
        let mut found = 0;
        if self.buckets.len() == 1 {
            return found;
        }
        for (at, window) in haystack.array_windows::<4>().enumerate() {
            let entry = self.entry(*window);
            if entry != 0 {
                found |= self.compare(entry, haystack, at);
            }
        }
        if let Some((before, &[a, b, c])) = haystack.split_last_chunk::<MIN_LITERAL>() {
            found |= self.compare(self.entry([a, b, c, 0]), haystack, before.len());
        }
        found
    }

    #[inline]
    fn entry(&self, window: [u8; 4]) -> u16 {
        self.table.get(self.slot(window)).copied().unwrap_or(0)
    }

    #[inline]
    fn slot(&self, window: [u8; 4]) -> usize {
        let window = (u32::from_le_bytes(window) & WINDOW) | ONE_CASE;
        (window.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    #[cold]
    fn compare(&self, entry: u16, haystack: &[u8], at: usize) -> Atoms {
        let mut found = 0;
        for needle in self
            .buckets
            .get(usize::from(entry))
            .map_or(&[][..], Vec::as_slice)
        {
            let text = at
                .checked_sub(needle.at)
                .and_then(|start| haystack.get(start..)?.get(..needle.text.len()));
            if text.is_some_and(|text| {
                text.iter()
                    .zip(&needle.text)
                    .all(|(a, b)| a == b || fold(*a) == *b)
            }) {
                found |= needle.atoms;
            }
        }
        found
    }
}

/// The byte that stands for `byte` and all that count as equal to it.
#[inline]
pub(super) fn fold(byte: u8) -> u8 {
    if WHITE_SPACE.contains(&byte) {
        b' '
    } else {
        byte.to_ascii_lowercase()
    }
}

/// The window with every white space that may stand for its blanks: case is the hash's business, white space is not.
fn spellings(window: [u8; MIN_LITERAL]) -> Vec<[u8; MIN_LITERAL]> {
    let mut spellings = vec![window];
    for place in 0..MIN_LITERAL {
        if window.get(place) == Some(&b' ') {
            spellings = spellings
                .iter()
                .flat_map(|known| WHITE_SPACE.map(|white| with(*known, place, white)))
                .collect();
        }
    }
    spellings
}

fn with(mut window: [u8; MIN_LITERAL], place: usize, byte: u8) -> [u8; MIN_LITERAL] {
    if let Some(at) = window.get_mut(place) {
        *at = byte;
    }
    window
}

/// How seldom a byte stands in code and prose, roughly.
fn rarity(byte: u8) -> usize {
    const BY_FREQUENCY: &[u8] = b" etaoinsrlcdpumhfg(),.'\"=_by:0-12/;vwk[]345x6789jqz{}";
    BY_FREQUENCY
        .iter()
        .position(|common| *common == byte)
        .unwrap_or(BY_FREQUENCY.len())
}
