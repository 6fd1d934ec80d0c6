//! Which instances there are, and which of them want calls.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::instance::Instance;

/// More are left out: no service of ours has so many, and each costs a connection.
const MOST: usize = 64;

pub(super) struct Table {
    to: Arc<str>,
    known: Mutex<BTreeMap<SocketAddr, Known>>,
    /// Those that want calls.
    ready: watch::Sender<Arc<[Arc<Instance>]>>,
    turn: AtomicUsize,
    /// Told when an instance was lost: its service may be at other addresses now.
    missed: Notify,
}

struct Known {
    instance: Arc<Instance>,
    serving: bool,
}

impl Table {
    pub(super) fn new(to: Arc<str>) -> Self {
        // Callers that start together do not all begin with the same instance.
        let begin = RandomState::new().build_hasher().finish();
        Self {
            to,
            known: Mutex::default(),
            ready: watch::Sender::new(Arc::new([])),
            turn: AtomicUsize::new(usize::try_from(begin >> 33).unwrap_or_default()),
            missed: Notify::new(),
        }
    }

    /// The instance whose turn it is.
    pub(super) fn next(&self) -> Option<Arc<Instance>> {
        let ready = self.ready.borrow();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ready.get(turn.checked_rem(ready.len())?).cloned()
    }

    /// An instance that wants calls, as soon as there is one.
    pub(super) async fn wait(&self) -> Option<Arc<Instance>> {
        let mut ready = self.ready.subscribe();
        loop {
            // The one that came may be gone again.
            ready.wait_for(|ready| !ready.is_empty()).await.ok()?;
            if let Some(instance) = self.next() {
                return Some(instance);
            }
        }
    }

    /// Whether an instance wants calls, by its health.
    pub(super) fn set(&self, instance: &Arc<Instance>, serving: bool) {
        let mut known = self.known.lock();
        let Some(entry) = known.get_mut(&instance.address()) else {
            return;
        };
        // A later instance at the same address speaks for itself.
        if !Arc::ptr_eq(&entry.instance, instance) || entry.serving == serving {
            return;
        }
        entry.serving = serving;
        tracing::info!(to = &*self.to, address = %instance.address(), serving, "an instance changed");
        self.publish(&known);
    }

    /// A call found the connection of an instance broken: it gets no more until its watch says that it is back.
    pub(super) fn lost(&self, instance: &Arc<Instance>) {
        self.set(instance, false);
        instance.look_again();
    }

    /// Resolves when an instance has gone since the last time.
    pub(super) async fn missed(&self) {
        self.missed.notified().await;
    }

    /// An instance that served does not any more.
    pub(super) fn miss(&self) {
        self.missed.notify_one();
    }

    /// Makes the instances those at `addresses`; gives back the new ones. Calls that are on their way to one that goes
    /// are finished.
    pub(super) fn replace(
        &self,
        addresses: &BTreeSet<SocketAddr>,
        make: impl Fn(SocketAddr) -> Instance,
    ) -> Vec<Arc<Instance>> {
        if addresses.len() > MOST {
            tracing::warn!(
                to = &*self.to,
                found = addresses.len(),
                "only the first {MOST} addresses are used"
            );
        }
        let wanted: BTreeSet<_> = addresses.iter().copied().take(MOST).collect();
        let mut known = self.known.lock();
        let before = known.len();
        known.retain(|address, entry| {
            let stays = wanted.contains(address);
            if !stays {
                entry.instance.dismiss();
            }
            stays
        });
        let gone = before - known.len();
        let mut new = Vec::new();
        for address in wanted {
            known.entry(address).or_insert_with(|| {
                let instance = Arc::new(make(address));
                new.push(Arc::clone(&instance));
                Known {
                    instance,
                    serving: false,
                }
            });
        }
        if gone > 0 {
            self.publish(&known);
        }
        new
    }

    fn publish(&self, known: &BTreeMap<SocketAddr, Known>) {
        let serving = known.values().filter(|entry| entry.serving);
        let ready: Arc<[_]> = serving.map(|entry| Arc::clone(&entry.instance)).collect();
        self.ready.send_replace(ready);
    }
}
