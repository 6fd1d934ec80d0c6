//! Places for files that are written down until all of them has come: few for each sender, so that some are left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::HttpError;

/// Of all senders together.
const ALL: usize = 32;
/// Of one sender.
const EACH: usize = 2;
/// How long an upload waits for a place.
const WAIT: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(5);

/// Clones share the places.
#[derive(Clone)]
pub(crate) struct Spools(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    senders: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// Free again when it is dropped.
pub(crate) struct Spooling {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Spools {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(ALL)),
            senders: Mutex::default(),
        }))
    }

    /// # Errors
    /// 503: no place came free in time.
    pub(crate) async fn place(&self, sender: &str) -> Result<Spooling, HttpError> {
        let (own, all) = (self.of(sender), Arc::clone(&self.0.all));
        // The sender's own first: who waits for that takes nothing from others.
        let both = async {
            let _own = own.acquire_owned().await.ok()?;
            let _all = all.acquire_owned().await.ok()?;
            Some(Spooling { _own, _all })
        };
        let place = tokio::time::timeout(WAIT, both).await;
        place.ok().flatten().ok_or_else(crowded)
    }

    fn of(&self, sender: &str) -> Arc<Semaphore> {
        let mut senders = self.0.senders.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or waits for.
        senders.retain(|_, places| Arc::strong_count(places) > 1);
        let places = senders
            .entry(sender.into())
            .or_insert_with(|| Arc::new(Semaphore::new(EACH)));
        Arc::clone(places)
    }
}

fn crowded() -> HttpError {
    let message = "too many files are being sent";
    let mut failure = Failure::new(Code::Unavailable, Reason::Unavailable, message);
    failure.retry_after = Some(AGAIN);
    failure.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_sender_leaves_places_to_others_and_is_forgotten() {
        let spools = Spools::new();
        let mut held = Vec::new();
        for sender in 0..ALL / EACH {
            for _ in 0..EACH {
                held.push(spools.place(&sender.to_string()).await.unwrap());
            }
            let refused = spools.place(&sender.to_string()).await.err().unwrap();
            assert_eq!(
                (refused.status.as_u16(), refused.failure.retry_after),
                (503, Some(AGAIN))
            );
        }
        assert!(spools.place("new").await.is_err(), "all are taken");
        held.pop();
        let last = spools.place("new").await.unwrap();
        drop((held, last));
        drop(spools.place("new").await.unwrap());
        assert_eq!(spools.0.senders.lock().unwrap().len(), 1);
    }
}
