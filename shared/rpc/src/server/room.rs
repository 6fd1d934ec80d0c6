//! Room for handlers, which whoever takes most of it leaves a share of to the others.

use std::collections::HashMap;
use std::sync::Arc;

use harombe_types::ServiceName;
use parking_lot::Mutex;

/// How many handlers may be at work at once, and who has how many of them.
#[derive(Debug)]
pub(crate) struct Room {
    places: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<ServiceName, usize>,
}

/// A handler's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    room: Arc<Room>,
    caller: ServiceName,
}

impl Room {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let taken = Mutex::default();
        Arc::new(Self { places, taken })
    }

    /// A place for a call of `caller`; none for a caller who holds as many as are free. So one caller alone gets half of
    /// all, `n` who want everything get an equal share each, and there is as much left for whoever comes next (the dynamic
    /// thresholds of Choudhury and Hahne, 1998).
    pub(crate) fn take(self: &Arc<Self>, caller: ServiceName) -> Option<Work> {
        let mut taken = self.taken.lock();
        let free = self.places.saturating_sub(taken.all);
        let held = taken.by.entry(caller).or_default();
        if *held >= free {
            return None;
        }
        *held += 1;
        taken.all += 1;
        Some(Work {
            room: Arc::clone(self),
            caller,
        })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        taken.all -= 1;
        if let Some(held) = taken.by.get_mut(&self.caller) {
            *held -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(room: &Arc<Room>, caller: ServiceName) -> Vec<Work> {
        std::iter::from_fn(|| room.take(caller)).collect()
    }

    #[test]
    fn nobody_can_take_so_much_that_nothing_is_left() {
        let room = Room::new(100);
        let runtime = fill(&room, ServiceName::Runtime);
        assert_eq!(runtime.len(), 50);
        let gateway = fill(&room, ServiceName::Gateway);
        assert_eq!(gateway.len(), 25);
        let hitl = fill(&room, ServiceName::Hitl);
        assert_eq!(hitl.len(), 13);
        drop(runtime);
        assert_eq!(fill(&room, ServiceName::Runtime).len(), 31);
        drop((gateway, hitl));
        assert_eq!(room.taken.lock().all, 0);
        assert_eq!(fill(&room, ServiceName::Hitl).len(), 50);
    }
}
