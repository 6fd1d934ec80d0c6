//! A bounded queue that takes turns between keys, so that a tenant or caller who sends much waits for itself
//! and not for anybody else, and nobody else waits for it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

/// How much a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Items waiting under one key. At least 1 is used.
    pub per_key: usize,
    /// Items waiting under all keys together. At least 1 is used.
    pub total: usize,
}

/// A bounded queue with one lane per key, emptied one item per lane in turn.
///
/// A lane that is full makes its own callers wait, in the order in which they came. When the whole queue is
/// full, at most `per_key` callers of one key compete for the places that become free.
#[derive(Debug)]
pub struct Queue<K, T> {
    state: Mutex<State<K, T>>,
    room: Semaphore,
    ready: Notify,
    per_key: usize,
}

/// The queue has been closed; the item comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed<T>(pub T);

/// Why an item was not taken at once; the item comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejected<T> {
    /// The key's lane or the whole queue is full.
    Full(T),
    /// The queue has been closed.
    Closed(T),
}

#[derive(Debug)]
struct State<K, T> {
    lanes: HashMap<K, Lane<T>>,
    /// Keys whose lanes hold something, in the order of their turns.
    turns: VecDeque<K>,
    waiting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Lane<T> {
    items: VecDeque<T>,
    room: Arc<Semaphore>,
    /// Callers that hold `room` while they wait for a place: the lane must outlive them.
    callers: usize,
}

impl<K: Eq + Hash + Clone, T> Queue<K, T> {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            state: Mutex::new(State {
                lanes: HashMap::new(),
                turns: VecDeque::new(),
                waiting: 0,
                closed: false,
            }),
            room: Semaphore::new(bounds.total.max(1)),
            ready: Notify::new(),
            per_key: bounds.per_key.max(1),
        }
    }

    /// Adds the item if there is room now.
    ///
    /// # Errors
    /// [`Rejected`] with the item.
    pub fn try_push(&self, key: &K, item: T) -> Result<(), Rejected<T>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed(item));
        }
        let State {
            lanes,
            turns,
            waiting,
            ..
        } = &mut *state;
        // looked up twice only for a key that is new
        if !lanes.contains_key(key) {
            lanes.insert(key.clone(), Lane::new(self.per_key));
        }
        let Some(lane) = lanes.get_mut(key) else {
            return Err(Rejected::Full(item));
        };
        let (Ok(in_lane), Ok(in_queue)) = (lane.room.try_acquire(), self.room.try_acquire()) else {
            if lane.is_idle() {
                lanes.remove(key);
            }
            return Err(Rejected::Full(item));
        };
        in_lane.forget();
        in_queue.forget();
        lane.add(key, item, turns);
        *waiting += 1;
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Adds the item, waiting for room. Dropping the future before it is done leaves the queue as it was.
    ///
    /// # Errors
    /// [`Closed`] with the item.
    pub async fn push(&self, key: &K, item: T) -> Result<(), Closed<T>> {
        let item = match self.try_push(key, item) {
            Ok(()) => return Ok(()),
            Err(Rejected::Closed(item)) => return Err(Closed(item)),
            Err(Rejected::Full(item)) => item,
        };
        let Some(waiting) = self.join_lane(key) else {
            return Err(Closed(item));
        };
        // the lane first: a caller whose own lane is full must not hold a place that another key could use
        let Ok(in_lane) = waiting.room.acquire().await else {
            return Err(Closed(item));
        };
        let Ok(in_queue) = self.room.acquire().await else {
            return Err(Closed(item));
        };
        let mut state = self.state.lock();
        if state.closed {
            return Err(Closed(item));
        }
        let State {
            lanes,
            turns,
            waiting: total,
            ..
        } = &mut *state;
        let Some(lane) = lanes.get_mut(key) else {
            return Err(Closed(item));
        };
        in_lane.forget();
        in_queue.forget();
        lane.add(key, item, turns);
        *total += 1;
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits until something is there, then takes up to `max` items, one per key and turn.
    /// Empty only when the queue is closed and everything in it has been taken.
    pub async fn take(&self, max: usize) -> Vec<T> {
        loop {
            {
                let mut state = self.state.lock();
                if state.waiting > 0 {
                    return self.collect(&mut state, max);
                }
                if state.closed {
                    return Vec::new();
                }
            }
            self.ready.notified().await;
        }
    }

    /// Refuses new items; those inside can still be taken.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for lane in state.lanes.values() {
            lane.room.close();
        }
        self.room.close();
        drop(state);
        self.ready.notify_one();
    }

    /// Items waiting now.
    pub fn len(&self) -> usize {
        self.state.lock().waiting
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn collect(&self, state: &mut State<K, T>, max: usize) -> Vec<T> {
        let State {
            lanes,
            turns,
            waiting,
            ..
        } = state;
        let mut taken = Vec::with_capacity((*waiting).min(max));
        while taken.len() < max {
            let Some(key) = turns.pop_front() else { break };
            let Some(lane) = lanes.get_mut(&key) else { continue };
            let Some(item) = lane.items.pop_front() else {
                continue;
            };
            taken.push(item);
            lane.room.add_permits(1);
            if !lane.items.is_empty() {
                turns.push_back(key);
            } else if lane.callers == 0 {
                lanes.remove(&key);
            }
        }
        *waiting -= taken.len();
        self.room.add_permits(taken.len());
        if *waiting > 0 {
            self.ready.notify_one();
        }
        taken
    }

    fn join_lane<'q>(&'q self, key: &'q K) -> Option<Waiting<'q, K, T>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let lane = state
            .lanes
            .entry(key.clone())
            .or_insert_with(|| Lane::new(self.per_key));
        lane.callers += 1;
        let room = Arc::clone(&lane.room);
        Some(Waiting {
            queue: self,
            key,
            room,
        })
    }
}

impl<T> Lane<T> {
    fn new(capacity: usize) -> Self {
        Self {
            items: VecDeque::new(),
            room: Arc::new(Semaphore::new(capacity)),
            callers: 0,
        }
    }

    fn is_idle(&self) -> bool {
        self.items.is_empty() && self.callers == 0
    }

    fn add<K: Clone>(&mut self, key: &K, item: T, turns: &mut VecDeque<K>) {
        if self.items.is_empty() {
            turns.push_back(key.clone());
        }
        self.items.push_back(item);
    }
}

/// A caller's place in the line of a lane; leaving it lets an idle lane go.
struct Waiting<'q, K: Eq + Hash + Clone, T> {
    queue: &'q Queue<K, T>,
    key: &'q K,
    room: Arc<Semaphore>,
}

impl<K: Eq + Hash + Clone, T> Drop for Waiting<'_, K, T> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        let Some(lane) = state.lanes.get_mut(self.key) else {
            return;
        };
        lane.callers -= 1;
        if lane.is_idle() {
            state.lanes.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests;
