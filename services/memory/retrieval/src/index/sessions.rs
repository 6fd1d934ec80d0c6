//! The order of the items of each session: what was said before and after.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

/// An item's place: its ordinal, and its id among those of one ordinal.
type Place = (u32, Uuid);

#[derive(Default)]
pub(super) struct Sessions {
    numbers: HashMap<Uuid, u32>,
    orders: Vec<BTreeMap<Place, u32>>,
    items: usize,
}

impl Sessions {
    pub(super) fn number_or_new(&mut self, session: Uuid) -> u32 {
        let next = u32::try_from(self.orders.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(session).or_insert(next);
        if number == next {
            self.orders.push(BTreeMap::new());
        }
        number
    }

    pub(super) fn put(&mut self, session: u32, place: Place, slot: u32) {
        if let Some(order) = self.orders.get_mut(session as usize)
            && order.insert(place, slot).is_none()
        {
            self.items += 1;
        }
    }

    pub(super) fn remove(&mut self, session: u32, place: Place) {
        if let Some(order) = self.orders.get_mut(session as usize)
            && order.remove(&place).is_some()
        {
            self.items -= 1;
        }
    }

    /// The slots before and after a place.
    pub(super) fn around(&self, session: u32, place: Place) -> (Option<u32>, Option<u32>) {
        let Some(order) = self.orders.get(session as usize) else {
            return (None, None);
        };
        let before = order.range(..place).next_back();
        let after = order
            .range((std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded))
            .next();
        (before.map(|(_, slot)| *slot), after.map(|(_, slot)| *slot))
    }

    pub(super) fn bytes(&self) -> usize {
        // A node of a tree is at least half full; two thirds is what it comes to.
        let entry = size_of::<(Place, u32)>() * 3 / 2;
        let session = size_of::<(Uuid, u32)>() * 2 + size_of::<BTreeMap<Place, u32>>();
        self.items * entry + self.orders.len() * session
    }
}
