//! A bounded queue that takes turns between keys, so that a tenant or caller who sends much waits for itself
//! and not for anybody else, and nobody else waits for it.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::turns::Turns;

mod turns;

/// How much a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What may wait under one key, by weight. At least 1 is used. A heavier item has its lane for itself.
    pub per_key: usize,
    /// What may wait under all keys together, by weight. At least 1 is used. A key that has nothing waiting is given a
    /// place even so: however many others fill the queue, they keep nobody out.
    pub total: usize,
    /// Callers of one key that may wait for a place, so that whoever sends too much is told so and does not wait.
    pub callers: usize,
}

/// How a queue tells its keys and items apart.
#[derive(Debug)]
pub struct Terms<K, T> {
    /// To which party a key belongs. Turns are taken between parties first, and then between the keys of one party: a
    /// caller cannot have more turns by sending under many keys.
    pub party: fn(&K) -> u64,
    /// How much of a turn an item takes. At least 1 is used.
    pub weight: fn(&T) -> usize,
}

/// A bounded queue with one lane per key, emptied in turn: whoever has been given least is next.
///
/// A lane that is full makes its own callers wait, in the order in which they came. When the whole queue is
/// full, at most `per_key` callers of one key compete for the places that become free.
#[derive(Debug)]
pub struct Queue<K, T> {
    state: Mutex<State<K, T>>,
    room: Semaphore,
    ready: Notify,
    bounds: Bounds,
    terms: Terms<K, T>,
}

/// Why an item was not taken; the item comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejected<T> {
    /// The key's lane or the whole queue is full, and so is the line before the lane if it was to wait.
    Full(T),
    /// The queue has been closed.
    Closed(T),
}

#[derive(Debug)]
struct State<K, T> {
    lanes: HashMap<K, Lane<T>>,
    /// Parties that have something waiting.
    parties: Turns<u64>,
    /// Of each of them the keys whose lanes hold something.
    keys: HashMap<u64, Turns<K>>,
    waiting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Lane<T> {
    items: VecDeque<Item<T>>,
    room: Arc<Semaphore>,
    /// Callers that hold `room` while they wait for a place: the lane must outlive them.
    callers: usize,
    /// Tells one of them that nothing of their key waits any more, so that it is given a place.
    emptied: Arc<Notify>,
}

#[derive(Debug)]
struct Item<T> {
    item: T,
    weight: usize,
    /// Places that it holds in its lane, and in the queue.
    in_lane: u32,
    in_queue: u32,
}

impl<K, T> Default for Terms<K, T> {
    /// All keys are of one party, and all items weigh the same.
    fn default() -> Self {
        Self {
            party: |_| 0,
            weight: |_| 1,
        }
    }
}

impl<K: Eq + Hash + Clone, T> Queue<K, T> {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self::on(Terms::default(), bounds)
    }

    /// An empty queue on terms of its own.
    pub fn on(terms: Terms<K, T>, bounds: Bounds) -> Self {
        let bounds = Bounds {
            per_key: bounds.per_key.max(1),
            total: bounds.total.max(1),
            ..bounds
        };
        Self {
            state: Mutex::new(State {
                lanes: HashMap::new(),
                parties: Turns::default(),
                keys: HashMap::new(),
                waiting: 0,
                closed: false,
            }),
            room: Semaphore::new(bounds.total),
            ready: Notify::new(),
            bounds,
            terms,
        }
    }

    /// Adds the item if there is room now.
    ///
    /// # Errors
    /// [`Rejected`] with the item.
    pub fn try_push(&self, key: &K, item: T) -> Result<(), Rejected<T>> {
        let mut item = self.weighed(item);
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed(item.item));
        }
        // looked up twice only for a key that is new
        if !state.lanes.contains_key(key) {
            let lane = Lane::new(self.bounds.per_key);
            state.lanes.insert(key.clone(), lane);
        }
        let Some(lane) = state.lanes.get_mut(key) else {
            return Err(Rejected::Full(item.item));
        };
        let Ok(in_lane) = lane.room.try_acquire_many(item.in_lane) else {
            return Err(Rejected::Full(item.item));
        };
        match self.room.try_acquire_many(item.in_queue) {
            Ok(in_queue) => in_queue.forget(),
            Err(_) if lane.items.is_empty() => item.in_queue = 0,
            Err(_) => return Err(Rejected::Full(item.item)),
        }
        in_lane.forget();
        self.add(&mut state, key, item);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Adds the item, waiting for room. Dropping the future before it is done leaves the queue as it was.
    ///
    /// # Errors
    /// [`Rejected`] with the item.
    pub async fn push(&self, key: &K, item: T) -> Result<(), Rejected<T>> {
        let mut item = match self.try_push(key, item) {
            Err(Rejected::Full(item)) => self.weighed(item),
            done => return done,
        };
        let Some(waiting) = self.join_lane(key) else {
            return Err(self.rejected(item.item));
        };
        // the lane first: a caller whose own lane is full must not hold a place that another key could use
        let Ok(in_lane) = waiting.room.acquire_many(item.in_lane).await else {
            return Err(Rejected::Closed(item.item));
        };
        let places = item.in_queue;
        let mut room = std::pin::pin!(self.room.acquire_many(places));
        loop {
            item = match self.place_first(key, item) {
                Ok(()) => break,
                Err(Rejected::Full(item)) => item,
                Err(Rejected::Closed(item)) => return Err(Rejected::Closed(item.item)),
            };
            let in_queue = tokio::select! {
                biased;
                in_queue = &mut room => in_queue,
                () = waiting.emptied.notified() => continue,
            };
            let mut state = self.state.lock();
            let Ok(in_queue) = in_queue else {
                return Err(Rejected::Closed(item.item));
            };
            if state.closed || !state.lanes.contains_key(key) {
                return Err(Rejected::Closed(item.item));
            }
            in_queue.forget();
            self.add(&mut state, key, item);
            break;
        }
        in_lane.forget();
        self.ready.notify_one();
        Ok(())
    }

    /// Adds the item of a caller that has its place in the lane, if nothing waits there: then it needs none in the queue.
    fn place_first(&self, key: &K, mut item: Item<T>) -> Result<(), Rejected<Item<T>>> {
        let mut state = self.state.lock();
        match state.lanes.get(key) {
            Some(lane) if !state.closed && lane.items.is_empty() => {}
            Some(_) if !state.closed => return Err(Rejected::Full(item)),
            _ => return Err(Rejected::Closed(item)),
        }
        match self.room.try_acquire_many(item.in_queue) {
            Ok(in_queue) => in_queue.forget(),
            Err(_) => item.in_queue = 0,
        }
        self.add(&mut state, key, item);
        Ok(())
    }

    /// Waits until something is there, then takes items in turn until they weigh `max`: less than one item more.
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

    /// Takes what is there now, as [`Queue::take`] does; nothing when nothing waits.
    pub fn try_take(&self, max: usize) -> Vec<T> {
        self.collect(&mut self.state.lock(), max)
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

    fn weighed(&self, item: T) -> Item<T> {
        let weight = (self.terms.weight)(&item).max(1);
        let places = |most: usize| u32::try_from(weight.min(most)).unwrap_or(u32::MAX);
        Item {
            in_lane: places(self.bounds.per_key),
            in_queue: places(self.bounds.total),
            item,
            weight,
        }
    }

    /// Puts an item that has its places into its lane, which is there.
    fn add(&self, state: &mut State<K, T>, key: &K, item: Item<T>) {
        let Some(lane) = state.lanes.get_mut(key) else {
            return;
        };
        if lane.items.is_empty() {
            let party = (self.terms.party)(key);
            let keys = state.keys.entry(party).or_insert_with(|| {
                state.parties.join(party);
                Turns::default()
            });
            keys.join(key.clone());
        }
        lane.items.push_back(item);
        state.waiting += 1;
    }

    fn collect(&self, state: &mut State<K, T>, max: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(state.waiting.min(max));
        let (mut weight, mut places) = (0, 0);
        while weight < max.max(1) {
            let Some(item) = state.next() else { break };
            weight += item.weight;
            places += widened(item.in_queue);
            taken.push(item.item);
        }
        self.room.add_permits(places);
        if state.waiting > 0 {
            self.ready.notify_one();
        }
        taken
    }

    fn rejected(&self, item: T) -> Rejected<T> {
        if self.state.lock().closed {
            Rejected::Closed(item)
        } else {
            Rejected::Full(item)
        }
    }

    fn join_lane<'q>(&'q self, key: &'q K) -> Option<Waiting<'q, K, T>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let lane = state
            .lanes
            .entry(key.clone())
            .or_insert_with(|| Lane::new(self.bounds.per_key));
        if lane.callers >= self.bounds.callers {
            if lane.is_idle() {
                state.lanes.remove(key);
            }
            return None;
        }
        lane.callers += 1;
        let (room, emptied) = (Arc::clone(&lane.room), Arc::clone(&lane.emptied));
        Some(Waiting {
            queue: self,
            key,
            room,
            emptied,
        })
    }
}

impl<K: Eq + Hash + Clone, T> State<K, T> {
    /// The item whose turn it is.
    fn next(&mut self) -> Option<Item<T>> {
        let party = self.parties.next()?;
        let keys = self.keys.get_mut(&party.of)?;
        let key = keys.next()?;
        let lane = self.lanes.get_mut(&key.of)?;
        let item = lane.items.pop_front()?;
        lane.room.add_permits(widened(item.in_lane));
        if lane.items.is_empty() {
            lane.emptied.notify_one();
            if lane.callers == 0 {
                self.lanes.remove(&key.of);
            }
            keys.leave(key, item.weight);
        } else {
            keys.again(key, item.weight);
        }
        if keys.is_empty() {
            self.keys.remove(&party.of);
            self.parties.leave(party, item.weight);
        } else {
            self.parties.again(party, item.weight);
        }
        self.waiting -= 1;
        Some(item)
    }
}

impl<T> Lane<T> {
    fn new(capacity: usize) -> Self {
        Self {
            items: VecDeque::new(),
            room: Arc::new(Semaphore::new(capacity)),
            callers: 0,
            emptied: Arc::default(),
        }
    }

    fn is_idle(&self) -> bool {
        self.items.is_empty() && self.callers == 0
    }
}

fn widened(places: u32) -> usize {
    usize::try_from(places).unwrap_or(usize::MAX)
}

/// A caller's place in the line of a lane; leaving it lets an idle lane go.
struct Waiting<'q, K: Eq + Hash + Clone, T> {
    queue: &'q Queue<K, T>,
    key: &'q K,
    room: Arc<Semaphore>,
    emptied: Arc<Notify>,
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
