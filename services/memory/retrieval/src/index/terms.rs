//! Terms as numbers, and the number of each: what is held of a word is held once.

use std::collections::HashMap;

use super::postings::{Entries, Postings};

/// What a table of this crate costs beside its entries: what the allocator and the table keep for each of them.
const OVERHEAD: usize = 24;

#[derive(Default)]
pub(super) struct Terms {
    numbers: HashMap<Box<str>, u32>,
    postings: Vec<Postings>,
    text_bytes: usize,
    posting_bytes: usize,
}

impl Terms {
    pub(super) fn number(&self, term: &str) -> Option<u32> {
        self.numbers.get(term).copied()
    }

    pub(super) fn number_or_new(&mut self, term: &str) -> u32 {
        if let Some(number) = self.number(term) {
            return number;
        }
        let number = u32::try_from(self.postings.len()).unwrap_or(u32::MAX);
        self.numbers.insert(term.into(), number);
        if self.postings.len() == self.postings.capacity() {
            self.postings.reserve_exact(self.postings.len() / 8 + 16);
        }
        self.postings.push(Postings::default());
        self.text_bytes += term.len();
        number
    }

    pub(super) fn push(&mut self, term: u32, slot: u32, count: u32) {
        if let Some(postings) = self.postings.get_mut(term as usize) {
            self.posting_bytes -= postings.bytes();
            postings.push(slot, count);
            self.posting_bytes += postings.bytes();
        }
    }

    pub(super) fn forget_one(&mut self, term: u32) {
        if let Some(postings) = self.postings.get_mut(term as usize) {
            postings.forget_one();
        }
    }

    /// Items that hold the term.
    pub(super) fn frequency(&self, term: u32) -> u32 {
        self.postings.get(term as usize).map_or(0, Postings::live)
    }

    pub(super) fn entries(&self, term: u32) -> Option<Entries<'_>> {
        self.postings.get(term as usize).map(Postings::iter)
    }

    /// Takes all items out, and the terms that none of those still there holds. Answers the new number of each term by
    /// its old one, `u32::MAX` for those that are gone.
    pub(super) fn clear_entries(&mut self) -> Vec<u32> {
        let mut renumbered = Vec::with_capacity(self.postings.len());
        let mut next = 0u32;
        for postings in &self.postings {
            let stays = postings.live() > 0;
            renumbered.push(if stays { next } else { u32::MAX });
            next += u32::from(stays);
        }
        self.numbers.retain(|_, number| {
            *number = renumbered.get(*number as usize).copied().unwrap_or(u32::MAX);
            *number != u32::MAX
        });
        self.numbers.shrink_to_fit();
        self.text_bytes = self.numbers.keys().map(|term| term.len()).sum();
        self.postings = (0..next).map(|_| Postings::default()).collect();
        self.posting_bytes = 0;
        renumbered
    }

    pub(super) fn bytes(&self) -> usize {
        let table = self.numbers.capacity() * (size_of::<(Box<str>, u32)>() + 1);
        let lists = self.postings.capacity() * size_of::<Postings>();
        table + lists + self.text_bytes + self.posting_bytes + self.postings.len() * 2 * OVERHEAD
    }
}
