//! How many sandboxes run at a time, and how long a caller waits for its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets a fixed number of executions in, and a fixed number wait, each for a limited time, in order.
#[derive(Debug)]
pub struct Admission {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    patience: Duration,
}

/// The right to run one sandbox; given back when dropped.
#[derive(Debug)]
pub struct Admitted {
    _permit: OwnedSemaphorePermit,
}

/// Why an execution was not let in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAdmitted {
    /// As many wait as may.
    #[error("all sandboxes are in use and {0} executions wait already")]
    QueueFull(usize),
    /// Its turn did not come in time.
    #[error("no sandbox became free within {} s", .0.as_secs())]
    TooLong(Duration),
}

impl Admission {
    /// `running` at a time, at most `waiting` more in line, each for at most `patience`.
    #[must_use]
    pub fn new(running: usize, waiting: usize, patience: Duration) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running)),
            waiting: AtomicUsize::new(0),
            most_waiting: waiting,
            patience,
        }
    }

    /// Waits for a turn, first come, first served.
    ///
    /// # Errors
    /// When the line is full or the wait too long.
    pub async fn enter(&self) -> Result<Admitted, NotAdmitted> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(Admitted { _permit: permit });
        }
        let _place =
            Place::take(&self.waiting, self.most_waiting).ok_or(NotAdmitted::QueueFull(self.most_waiting))?;
        let turn = Arc::clone(&self.running).acquire_owned();
        match tokio::time::timeout(self.patience, turn).await {
            Ok(Ok(permit)) => Ok(Admitted { _permit: permit }),
            // The semaphore is never closed, so the inner error is a wait that cannot end either.
            Ok(Err(_)) | Err(_) => Err(NotAdmitted::TooLong(self.patience)),
        }
    }
}

/// A place in the line, given back also when the wait is cancelled.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < most).then_some(now + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_third_waits_a_fourth_is_refused_and_a_wait_ends() {
        let admission = Arc::new(Admission::new(2, 1, Duration::from_secs(5)));
        let first = admission.enter().await.unwrap();
        let _second = admission.enter().await.unwrap();
        let third = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.enter().await }
        });
        while admission.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.enter().await.unwrap_err(), NotAdmitted::QueueFull(1));
        drop(first);
        let _third = third.await.unwrap().unwrap();
        assert_eq!(
            admission.enter().await.unwrap_err(),
            NotAdmitted::TooLong(Duration::from_secs(5))
        );
        assert_eq!(admission.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_leaves_no_trace() {
        let admission = Admission::new(1, 1, Duration::from_secs(5));
        let first = admission.enter().await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_secs(1), admission.enter())
                .await
                .is_err()
        );
        assert_eq!(admission.waiting.load(Ordering::Acquire), 0);
        drop(first);
        admission.enter().await.unwrap();
    }
}
