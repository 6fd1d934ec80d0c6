//! Names that many items share, kept once and counted, so that it is known who takes part.

use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub(super) struct Names {
    numbers: HashMap<Box<str>, u32>,
    names: Vec<(Box<str>, u32)>,
    bytes: usize,
}

impl Names {
    pub(super) fn take(&mut self, name: &str) -> u32 {
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.numbers.insert(name.into(), number);
                self.names.push((name.into(), 0));
                self.bytes += 2 * name.len() + 80;
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

    /// Names in use, with how many items have each.
    pub(super) fn in_use(&self) -> BTreeMap<&str, (u32, u32)> {
        (0..)
            .zip(&self.names)
            .filter(|(_, (name, count))| *count > 0 && !name.is_empty())
            .map(|(number, (name, count))| (name.as_ref(), (number, *count)))
            .collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
