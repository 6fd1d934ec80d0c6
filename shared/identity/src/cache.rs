//! A bounded memory of what was verified a moment ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use harombe_types::Timestamp;

/// How long a verification is believed. A certificate that expires meanwhile is believed that much longer.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// Two generations: a full young one becomes the old one, and what was old is forgotten. So it never holds more
/// than twice `capacity`, and what is in use stays.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    capacity: usize,
    young: HashMap<K, (Timestamp, V)>,
    old: HashMap<K, (Timestamp, V)>,
}

impl<K: Eq + Hash + Copy, V: Clone> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// What was put under `key` at most [`BELIEVED_FOR`] before `now`. A clock that went back finds nothing.
    pub(crate) fn get(&mut self, key: &K, now: Timestamp) -> Option<V> {
        let fresh = |at: Timestamp| at <= now && now < at.plus(BELIEVED_FOR);
        if let Some((at, value)) = self.young.get(key) {
            return fresh(*at).then(|| value.clone());
        }
        let (at, value) = self.old.remove(key)?;
        if !fresh(at) {
            return None;
        }
        self.insert(*key, at, value.clone());
        Some(value)
    }

    pub(crate) fn insert(&mut self, key: K, now: Timestamp, value: V) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (now, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn it_forgets_after_a_while_and_when_the_clock_goes_back() {
        let mut cache = Cache::new(4);
        cache.insert(1, at(100), "a");
        assert_eq!(cache.get(&1, at(129)), Some("a"));
        assert_eq!(cache.get(&1, at(130)), None);
        assert_eq!(cache.get(&1, at(99)), None);
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::new(8);
        cache.insert(0, at(0), 0);
        for key in 1..1000 {
            cache.insert(key, at(0), key);
            assert_eq!(cache.get(&0, at(0)), Some(0));
            assert!(cache.young.len() + cache.old.len() <= 16);
        }
    }
}
