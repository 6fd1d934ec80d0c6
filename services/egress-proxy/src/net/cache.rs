//! Remembers answers, the absence of answers included, within bounds of number and time.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_types::{Clock, Timestamp};
use parking_lot::Mutex;

use crate::domain::host::DnsName;
use crate::domain::resolver::{Answer, ResolveError, Resolver};

/// However long a record says that it lives, a policy or address change should show within minutes.
const MAX_POSITIVE: Duration = Duration::from_secs(300);
const MAX_NEGATIVE: Duration = Duration::from_secs(60);

/// Failures are remembered briefly, so that a broken zone is not asked at the rate of its callers (RFC 9520 §3.2).
const FAILURE: Duration = Duration::from_secs(2);

/// A [`Resolver`] that asks another one only for what it does not know.
pub struct CachingResolver<R> {
    inner: R,
    clock: Arc<dyn Clock>,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<DnsName, Entry>,
    /// Insertion order; the oldest goes first when the cache is full.
    order: VecDeque<DnsName>,
}

struct Entry {
    result: Result<Answer, ResolveError>,
    stored: Timestamp,
    expires: Timestamp,
}

impl<R> CachingResolver<R> {
    /// Keeps at most `capacity` names.
    pub fn new(inner: R, capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            clock,
            capacity,
            state: Mutex::default(),
        }
    }

    fn lookup(&self, name: &DnsName) -> Option<Result<Answer, ResolveError>> {
        let now = self.clock.now();
        let state = self.state.lock();
        let entry = state.entries.get(name)?;
        // A clock that was set back must not stretch a lifetime.
        (entry.stored <= now && now < entry.expires).then(|| entry.result.clone())
    }

    fn store(&self, name: &DnsName, result: &Result<Answer, ResolveError>) {
        let lifetime = match result {
            Ok(answer) => answer.ttl.min(MAX_POSITIVE),
            Err(ResolveError::NoAddress { ttl }) => (*ttl).min(MAX_NEGATIVE),
            Err(ResolveError::Timeout | ResolveError::Failed(_)) => FAILURE,
        };
        if lifetime.is_zero() || self.capacity == 0 {
            return;
        }
        let stored = self.clock.now();
        let entry = Entry {
            result: result.clone(),
            stored,
            expires: stored.plus(lifetime),
        };
        let mut state = self.state.lock();
        if state.entries.insert(name.clone(), entry).is_none() {
            state.order.push_back(name.clone());
        }
        while state.entries.len() > self.capacity {
            match state.order.pop_front() {
                Some(oldest) => state.entries.remove(&oldest),
                None => break,
            };
        }
    }
}

impl<R> fmt::Debug for CachingResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingResolver")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<R: Resolver> Resolver for CachingResolver<R> {
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError> {
        if let Some(known) = self.lookup(name) {
            return known;
        }
        let result = self.inner.resolve(name).await;
        self.store(name, &result);
        result
    }
}

#[cfg(test)]
mod tests {
    use harombe_types::ManualClock;

    use super::*;
    use crate::domain::host::Host;

    /// Answers 8.8.8.<count of look-ups>, or fails as told.
    struct Counting {
        asked: Mutex<u8>,
        ttl: u64,
        fails: Option<ResolveError>,
    }

    #[async_trait]
    impl Resolver for Counting {
        async fn resolve(&self, _: &DnsName) -> Result<Answer, ResolveError> {
            let mut asked = self.asked.lock();
            *asked += 1;
            match &self.fails {
                Some(error) => Err(error.clone()),
                None => Ok(Answer {
                    addresses: [[8, 8, 8, *asked].into()].into(),
                    ttl: Duration::from_secs(self.ttl),
                }),
            }
        }
    }

    fn name(text: &str) -> DnsName {
        match Host::parse(text).expect("a host") {
            Host::Name(name) => name,
            Host::Address(_) => panic!("{text} is an address"),
        }
    }

    fn cache(
        capacity: usize,
        ttl: u64,
        fails: Option<ResolveError>,
    ) -> (CachingResolver<Counting>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000)));
        let inner = Counting {
            asked: Mutex::new(0),
            ttl,
            fails,
        };
        (CachingResolver::new(inner, capacity, clock.clone()), clock)
    }

    async fn asked_after(cache: &CachingResolver<Counting>, names: &[&str]) -> u8 {
        for text in names {
            let _ = cache.resolve(&name(text)).await;
        }
        *cache.inner.asked.lock()
    }

    #[tokio::test]
    async fn an_answer_lives_for_its_ttl_and_at_most_five_minutes() {
        let (short, clock) = cache(8, 10, None);
        assert_eq!(asked_after(&short, &["a.test", "a.test", "b.test"]).await, 2);
        clock.advance(Duration::from_secs(10));
        assert_eq!(asked_after(&short, &["a.test"]).await, 3);
        let (long, clock) = cache(8, 86_400, None);
        assert_eq!(asked_after(&long, &["a.test"]).await, 1);
        clock.advance(Duration::from_secs(300));
        assert_eq!(asked_after(&long, &["a.test"]).await, 2);
    }

    #[tokio::test]
    async fn a_zero_ttl_is_not_kept() {
        let (cache, _) = cache(8, 0, None);
        assert_eq!(asked_after(&cache, &["a.test", "a.test"]).await, 2);
    }

    #[tokio::test]
    async fn the_cache_stays_within_its_capacity() {
        let (cache, _) = cache(2, 60, None);
        assert_eq!(
            asked_after(&cache, &["a.test", "b.test", "c.test", "b.test", "c.test"]).await,
            3
        );
        assert_eq!(asked_after(&cache, &["a.test"]).await, 4, "the oldest went");
        let state = cache.state.lock();
        assert_eq!((state.entries.len(), state.order.len()), (2, 2));
    }

    #[tokio::test]
    async fn absence_and_failure_are_remembered_too() {
        let absent = ResolveError::NoAddress {
            ttl: Duration::from_secs(3600),
        };
        for (error, lifetime) in [
            (absent, 60),
            (ResolveError::Timeout, 2),
            (ResolveError::Failed("x".into()), 2),
        ] {
            let (cache, clock) = cache(8, 0, Some(error));
            assert_eq!(asked_after(&cache, &["a.test", "a.test"]).await, 1);
            clock.advance(Duration::from_secs(lifetime));
            assert_eq!(asked_after(&cache, &["a.test"]).await, 2);
        }
    }
}
