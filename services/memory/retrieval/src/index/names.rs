//! Names that many items share, kept once and counted, so that it is known who takes part.

use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Names {
    numbers: HashMap<Box<str>, u32>,
    names: Vec<(Box<str>, u32)>,
    /// Bytes of the names themselves.
    text_bytes: usize,
}

/// What the allocator keeps beside a name and its copy.
const OVERHEAD: usize = 32;

impl Names {
    pub(super) fn take(&mut self, name: &str) -> u32 {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.numbers.insert(name.into(), number);
                self.names.push((name.into(), 0));
                self.text_bytes += 2 * name.len();
                number
            }
        };
        if let Some((_, count)) = self.names.get_mut(number as usize) {
            *count = count.saturating_add(1);
        }
        number
    }

    pub(super) fn give_back(&mut self, number: u32) {
        if let Some((_, count)) = self.names.get_mut(number as usize) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.names
            .get(number as usize)
            .map_or("", |(name, _)| name.as_ref())
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Names in use: each with its number and how many items have it.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        (0..)
            .zip(&self.names)
            .filter(|(_, (name, count))| *count > 0 && !name.is_empty())
            .map(|(number, (name, count))| (name.as_ref(), number, *count))
    }

    /// Forgets the names that nobody has. Answers the new number of each by its old one, `u32::MAX` for those.
    pub(super) fn forget_unused(&mut self) -> Vec<u32> {
        let all = std::mem::take(self);
        let mut renumbered = Vec::with_capacity(all.names.len());
        for (name, count) in all.names {
            if count == 0 {
                renumbered.push(u32::MAX);
                continue;
            }
            let number = self.take(&name);
            if let Some((_, taken)) = self.names.get_mut(number as usize) {
                *taken = count;
            }
            renumbered.push(number);
        }
        renumbered
    }

    pub(super) fn bytes(&self) -> usize {
        let table = self.numbers.capacity() * (size_of::<(Box<str>, u32)>() + 1) * 8 / 7;
        let list = self.names.capacity() * size_of::<(Box<str>, u32)>();
        table + list + self.text_bytes + self.names.len() * OVERHEAD
    }
}
