//! How much one node takes on: runs that have something to do, and runs that only wait for a person.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics::Numbers;

/// The node's seats. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    counts: Arc<Mutex<Counts>>,
    numbers: Arc<Numbers>,
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
    /// Room for so many runs of either kind, shown in these numbers.
    pub(crate) fn new(busy: usize, waiting: usize, numbers: Arc<Numbers>) -> Self {
        let room = Self {
            counts: Arc::default(),
            numbers,
            busy,
            waiting,
        };
        room.count(|_| ());
        room
    }

    /// A seat for a run that has something to do; `None` when the node is full.
    pub(crate) fn enter(&self) -> Option<Seat> {
        let entered = self.count(|counts| {
            let free = self.free_of(counts) > 0;
            counts.driven += usize::from(free);
            free
        });
        entered.then(|| Seat {
            room: self.clone(),
            waits: false,
        })
    }

    /// Runs that may still enter.
    pub(crate) fn free(&self) -> usize {
        self.free_of(&self.counts.lock())
    }

    /// Changes the counts, and shows them.
    fn count<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        let mut counts = self.counts.lock();
        let changed = change(&mut counts);
        self.numbers.set_runs(counts.driven, counts.waiting);
        changed
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
        if !self.waits {
            self.waits = true;
            self.room.count(|counts| {
                counts.waiting += 1;
                counts.driven -= 1;
            });
        }
    }

    /// The run has something to do again. It is let in even if the node is full: what was approved may not wait long.
    pub(crate) fn go_on(&mut self) {
        if self.waits {
            self.waits = false;
            self.room.count(|counts| {
                counts.waiting -= 1;
                counts.driven += 1;
            });
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.count(|counts| {
            if self.waits {
                counts.waiting -= 1;
            } else {
                counts.driven -= 1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use harombe_rpc::Metrics;

    use super::*;

    fn room() -> Room {
        Room::new(1, 1, Arc::new(Numbers::new(&Metrics::new())))
    }

    #[test]
    fn who_waits_makes_room_and_is_let_in_again() {
        let room = room();
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
        let room = room();
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
