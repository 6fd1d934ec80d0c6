//! The keys in use at this gateway: how fast each may go, how many calls and streams it has, and when these must end.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use harombe_types::{AgentName, Clock, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::key::{Key, KeyLimits};
use super::secret::KeyId;
use crate::Error;
use crate::metrics::{Limited, Numbers};

/// A key that was not used for this long has its whole burst again (see [`Rates::of`]), so forgetting it changes nothing.
const IDLE: Duration = Duration::from_secs(60);
const IDLE_SECONDS: u32 = 60;
/// Keys remembered before idle ones are looked for.
const REMEMBERED: usize = 4096;

/// The clock of the service for the limiter, to which time only goes forward: a clock that is set back must not keep a key
/// waiting until it has come there again.
#[derive(Clone, Debug)]
struct Ticks {
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    last: Timestamp,
    passed: Duration,
}

impl Ticks {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let seen = Seen {
            last: clock.now(),
            passed: Duration::ZERO,
        };
        Self {
            clock,
            seen: Arc::new(Mutex::new(seen)),
        }
    }
}

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut seen = self.seen.lock();
        let now = self.clock.now();
        let since = seen.last.until(now);
        seen.passed += since;
        seen.last = now;
        seen.passed
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

/// What holds for one key: its own numbers, and those of the configuration where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rates {
    requests_per_second: NonZeroU32,
    burst: NonZeroU32,
    streams: u32,
    calls: u32,
    transfers: u32,
    messages_per_day: u32,
}

/// Defaults of the configuration; none is 0 but that of messages, for which it means no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) limits: KeyLimits,
    /// Calls in flight, of each key.
    pub(crate) calls: u32,
    /// Uploads and downloads under way, of each key.
    pub(crate) transfers: u32,
}

impl Rates {
    fn of(key: KeyLimits, defaults: Defaults) -> Self {
        let Defaults { calls, transfers, .. } = defaults;
        let defaults = defaults.limits;
        let or = |own: u32, default: u32| if own == 0 { default } else { own };
        let requests = or(key.requests_per_second, defaults.requests_per_second);
        let burst = match (key.burst, key.requests_per_second) {
            (0, 0) => defaults.burst,
            // A slow key must not come with the burst of a fast one.
            (0, own) => own.saturating_mul(2),
            (own, _) => own,
        };
        let burst = burst.min(requests.saturating_mul(IDLE_SECONDS));
        Self {
            requests_per_second: NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN),
            burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN),
            streams: or(key.streams, defaults.streams),
            calls,
            transfers,
            messages_per_day: or(key.messages_per_day, defaults.messages_per_day),
        }
    }
}

/// A key in use.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: KeyId,
    /// Empty: every agent.
    agents: BTreeSet<AgentName>,
    rates: Rates,
    requests: Limiter,
    ticks: Ticks,
    streams: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    /// Cancelled when the key is revoked or has expired.
    ended: CancellationToken,
    /// Milliseconds since the epoch.
    used: AtomicI64,
    numbers: Numbers,
}

/// A stream's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    ended: CancellationToken,
    numbers: Numbers,
    _permit: OwnedSemaphorePermit,
    /// A transfer's place beside it.
    transfer: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.numbers.streams.dec();
    }
}

impl Slot {
    /// Returns when the stream must end, because its key has.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Live {
    fn new(key: &Key, defaults: Defaults, ticks: Ticks, numbers: Numbers) -> Self {
        let rates = Rates::of(key.bearer.limits, defaults);
        let quota = Quota::per_second(rates.requests_per_second).allow_burst(rates.burst);
        let places = |most: u32| {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
        };
        Self {
            id: key.id.clone(),
            agents: key.bearer.agents.clone(),
            rates,
            requests: RateLimiter::direct_with_clock(quota, ticks.clone()),
            ticks,
            streams: places(rates.streams),
            calls: places(rates.calls),
            transfers: places(rates.transfers),
            ended: CancellationToken::new(),
            used: AtomicI64::new(0),
            numbers,
        }
    }

    /// Counts a request.
    pub(crate) fn request(&self) -> Result<(), Error> {
        self.requests.check().map_err(|until| {
            self.numbers.limited(Limited::Requests);
            Error::TooFast {
                per_second: self.rates.requests_per_second.get(),
                wait: until.wait_time_from(self.ticks.now()),
            }
        })
    }

    /// A place for a call that is under way.
    pub(crate) fn call(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.calls).try_acquire_owned().map_err(|_| {
            self.numbers.limited(Limited::Calls);
            Error::ManyCalls {
                max: self.rates.calls,
            }
        })
    }

    pub(crate) fn stream(&self) -> Result<Slot, Error> {
        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            self.numbers.limited(Limited::Streams);
            return Err(Error::ManyStreams {
                max: self.rates.streams,
            });
        };
        self.numbers.streams.inc();
        Ok(Slot {
            ended: self.ended.clone(),
            numbers: self.numbers.clone(),
            _permit: permit,
            transfer: None,
        })
    }

    /// A place for an upload or a download, which is a stream with larger messages than others have.
    pub(crate) fn transfer(&self) -> Result<Slot, Error> {
        let Ok(transfer) = Arc::clone(&self.transfers).try_acquire_owned() else {
            self.numbers.limited(Limited::Transfers);
            return Err(Error::ManyTransfers {
                max: self.rates.transfers,
            });
        };
        let mut slot = self.stream()?;
        slot.transfer = Some(transfer);
        Ok(slot)
    }

    /// Whether the key is for that agent.
    pub(crate) fn is_for(&self, agent: &str) -> bool {
        self.agents.is_empty() || self.agents.iter().any(|own| own.as_str() == agent)
    }

    /// Whether it is for some agents only.
    pub(crate) fn is_scoped(&self) -> bool {
        !self.agents.is_empty()
    }

    /// New messages in a day; 0 sets no limit.
    pub(crate) fn messages_per_day(&self) -> u32 {
        self.rates.messages_per_day
    }

    /// Ends its streams.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    fn has_streams(&self) -> bool {
        self.streams.available_permits() < usize::try_from(self.rates.streams).unwrap_or(usize::MAX)
    }

    fn has_calls(&self) -> bool {
        self.calls.available_permits() < usize::try_from(self.rates.calls).unwrap_or(usize::MAX)
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        let used = Timestamp::from_millis(self.used.load(Ordering::Relaxed));
        !self.has_streams() && !self.has_calls() && used.plus(IDLE) <= now
    }
}

/// The keys that came through this gateway lately.
pub(crate) struct Uses {
    clock: Arc<dyn Clock>,
    defaults: Defaults,
    numbers: Numbers,
    live: Mutex<Known>,
}

struct Known {
    keys: HashMap<KeyId, Arc<Live>>,
    /// Idle keys are forgotten when there are this many.
    sweep_at: usize,
}

impl Uses {
    pub(crate) fn new(clock: Arc<dyn Clock>, defaults: Defaults, numbers: Numbers) -> Self {
        let live = Mutex::new(Known {
            keys: HashMap::new(),
            sweep_at: REMEMBERED,
        });
        Self {
            clock,
            defaults,
            numbers,
            live,
        }
    }

    /// The use of a key whose bearer has just proved to have it.
    pub(crate) fn of(&self, key: &Key) -> Arc<Live> {
        let now = self.clock.now();
        let mut known = self.live.lock();
        if known.keys.len() >= known.sweep_at && !known.keys.contains_key(&key.id) {
            known.keys.retain(|_, live| !live.is_idle(now));
            // What is left is in use: looking again at every call would find nothing.
            known.sweep_at = REMEMBERED.max(known.keys.len().saturating_mul(2));
        }
        let live = known.keys.entry(key.id.clone()).or_insert_with(|| {
            Arc::new(Live::new(
                key,
                self.defaults,
                Ticks::new(Arc::clone(&self.clock)),
                self.numbers.clone(),
            ))
        });
        live.used.store(now.as_millis(), Ordering::Relaxed);
        Arc::clone(live)
    }

    /// A key that came through lately.
    pub(crate) fn get(&self, id: &KeyId) -> Option<Arc<Live>> {
        self.live.lock().keys.get(id).map(Arc::clone)
    }

    /// Ends what a key that is good no longer has open.
    pub(crate) fn end(&self, id: &KeyId) {
        if let Some(live) = self.live.lock().keys.remove(id) {
            live.end();
        }
    }

    /// The keys that have streams open.
    pub(crate) fn streaming(&self) -> Vec<KeyId> {
        let known = self.live.lock();
        let streaming = known.keys.values().filter(|live| live.has_streams());
        streaming.map(|live| live.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
