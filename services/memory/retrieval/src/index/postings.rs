//! Which items hold a term and how often, packed: most entries take one or two bytes.

/// Appends `value` with seven bits a byte, the lowest first.
pub(super) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Takes a number off the front; none at the end.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The items of one term, by rising slot. Slots only ever grow, so an entry is the step from the one before it; a count
/// above 1 follows when the step's lowest bit says so.
#[derive(Default)]
pub(super) struct Postings {
    bytes: Vec<u8>,
    next: u32,
    /// Items that hold the term and are still there.
    live: u32,
}

impl Postings {
    /// `slot` must be above every slot before it.
    pub(super) fn push(&mut self, slot: u32, count: u32) {
        let step = u64::from(slot.saturating_sub(self.next));
        self.next = slot.saturating_add(1);
        self.live = self.live.saturating_add(1);
        if count > 1 {
            put_varint(&mut self.bytes, step << 1 | 1);
            put_varint(&mut self.bytes, u64::from(count));
        } else {
            put_varint(&mut self.bytes, step << 1);
        }
    }

    /// One of the items is gone. Its entry stays until the index is packed anew.
    pub(super) fn forget_one(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Slots and counts, those of items that are gone included.
    pub(super) fn iter(&self) -> Entries<'_> {
        Entries {
            bytes: &self.bytes,
            next: 0,
        }
    }
}

pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    next: u32,
}

impl Iterator for Entries<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let head = take_varint(&mut self.bytes)?;
        let slot = self.next.checked_add(u32::try_from(head >> 1).ok()?)?;
        self.next = slot.saturating_add(1);
        let count = if head & 1 == 1 {
            u32::try_from(take_varint(&mut self.bytes)?).ok()?
        } else {
            1
        };
        Some((slot, count))
    }
}

#[cfg(test)]
mod tests {
    use super::Postings;

    proptest::proptest! {
        #[test]
        fn what_is_packed_comes_out_again(entries in proptest::collection::btree_map(proptest::num::u32::ANY, 1..u32::MAX, 0..50)) {
            let mut postings = Postings::default();
            for (slot, count) in &entries {
                postings.push(*slot, *count);
            }
            let expected: Vec<_> = entries.into_iter().filter(|(slot, _)| *slot < u32::MAX).collect();
            let found: Vec<_> = postings.iter().filter(|(slot, _)| *slot < u32::MAX).collect();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
