//! How much one node takes on: runs that have something to do, and runs that only wait for a person.

use std::sync::Arc;

use parking_lot::Mutex;

/// The node's seats. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    counts: Arc<Mutex<Counts>>,
    busy: usize,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Counts {
    driven: usize,
    waiting: usize,
}

/// One run's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Room,
    waits: bool,
}

impl Room {
    /// Room for so many runs of either kind.
    pub(crate) fn new(busy: usize, waiting: usize) -> Self {
        Self {
            counts: Arc::default(),
            busy,
            waiting,
        }
    }

    /// A seat for a run that has something to do; `None` when the node is full.
    pub(crate) fn enter(&self) -> Option<Seat> {
        let mut counts = self.counts.lock();
        if self.free_of(&counts) == 0 {
            return None;
        }
        counts.driven += 1;
        Some(Seat {
            room: self.clone(),
            waits: false,
        })
    }

    /// Runs that may still enter.
    pub(crate) fn free(&self) -> usize {
        self.free_of(&self.counts.lock())
    }

    /// Those that wait beyond their number are busy as long as that lasts, whichever they are.
    fn free_of(&self, counts: &Counts) -> usize {
        let busy = counts.driven + counts.waiting.saturating_sub(self.waiting);
        self.busy.saturating_sub(busy)
    }
}

impl Seat {
    /// The run only waits from now on: it makes room for another, unless too many wait.
    pub(crate) fn wait(&mut self) {
        let mut counts = self.room.counts.lock();
        if !self.waits {
            counts.waiting += 1;
            counts.driven -= 1;
            self.waits = true;
        }
    }

    /// The run has something to do again. It is let in even if the node is full: what was approved may not wait long.
    pub(crate) fn go_on(&mut self) {
        let mut counts = self.room.counts.lock();
        if self.waits {
            counts.waiting -= 1;
            counts.driven += 1;
            self.waits = false;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.room.counts.lock();
        if self.waits {
            counts.waiting -= 1;
        } else {
            counts.driven -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_makes_room_and_is_let_in_again() {
        let room = Room::new(1, 1);
        let mut first = room.enter().unwrap();
        assert!(room.enter().is_none());
        first.wait();
        let mut second = room.enter().unwrap();
        // there is no room to wait for a second one
        second.wait();
        assert!(room.enter().is_none());
        first.go_on();
        assert_eq!(room.free(), 0);
        drop(second);
        assert_eq!(room.free(), 0);
        drop(first);
        assert_eq!(room.free(), 1);
    }

    #[test]
    fn who_waits_beyond_the_number_takes_the_place_of_one_that_leaves() {
        let room = Room::new(1, 1);
        let mut first = room.enter().unwrap();
        first.wait();
        let mut second = room.enter().unwrap();
        second.wait();
        assert_eq!(room.free(), 0);
        drop(first);
        assert_eq!(room.free(), 1);
        let third = room.enter().unwrap();
        assert!(room.enter().is_none());
        second.go_on();
        drop(third);
        assert_eq!(room.free(), 0);
        drop(second);
        assert_eq!(room.free(), 1);
    }
}
