//! The handle that a service holds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use harombe_error::Reason;
use harombe_fair::{Bounds, Rejected, Terms};
use harombe_rpc::{GrpcChannel, Refusals, TaskSet};
use harombe_types::{Clock, ServiceName, Tenant};
use prost::Message as _;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::pipeline::{Job, Jobs, Pipeline};
use crate::refusals::Windows;
use crate::{Error, Event};

/// How long [`Trail::record`] waits before the act is refused.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Events of one tenant that may wait here for audit, each 16 KiB of a large one counting as one more: some 64 MiB.
pub const QUEUE: usize = 4096;

/// Bytes of an event that count as one more.
const HEAVY: usize = 16 << 10;

/// Events of all tenants that may wait here. One that has none waiting is let in even so.
const TOTAL: usize = 4 * QUEUE;

const SWEEP: Duration = Duration::from_secs(1);

/// Writes the audit events of one process. Clones share one pipeline.
#[derive(Clone)]
pub struct Trail(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    queue: Arc<Jobs>,
    windows: Arc<Windows>,
}

impl Trail {
    /// Begins the trail of this process: a new instance whose events count from 1. `audit` must call as `service`.
    /// What is of no tenant goes into the log of `operator`.
    /// The pipeline runs in `tasks`: stop these only after the services that record, for then it writes what is queued
    /// and takes no more. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(
        audit: GrpcChannel,
        service: ServiceName,
        operator: Tenant,
        clock: Arc<dyn Clock>,
        tasks: &TaskSet,
    ) -> Self {
        let terms = Terms {
            weight: |job: &Job| 1 + job.event.encoded_len() / HEAVY,
            ..Terms::default()
        };
        let bounds = Bounds {
            per_key: QUEUE,
            total: TOTAL,
            // An act is refused at once.
            callers: 0,
        };
        let queue = Arc::new(Jobs::on(terms, bounds));
        let windows = Arc::new(Windows::new(operator));
        let pipeline = Pipeline::new(audit, service, Arc::clone(&clock), Arc::clone(&windows));
        tasks.spawn(pipeline.run(Arc::clone(&queue), tasks.token()));
        let trail = Self(Arc::new(Inner {
            clock,
            queue,
            windows,
        }));
        // Weak, so that the sweeper does not keep the pipeline's queue open.
        tasks.spawn(sweep(Arc::downgrade(&trail.0), tasks.token()));
        trail
    }

    /// In whose log is what is of no tenant that could be believed.
    #[must_use]
    pub fn operator(&self) -> &Tenant {
        &self.0.windows.operator
    }

    /// Records an event and returns when it is durable and in the signed tree.
    ///
    /// # Errors
    /// It is not known to be recorded: refuse the act. After [`PATIENCE`], the event stays queued and may still be
    /// recorded.
    pub async fn record(&self, event: Event) -> Result<(), Error> {
        self.record_within(PATIENCE, event).await
    }

    /// The same with a patience of the caller's own: of what has happened already, and must be on record before anybody is
    /// told.
    ///
    /// # Errors
    /// As [`Trail::record`].
    pub async fn record_within(&self, patience: Duration, event: Event) -> Result<(), Error> {
        self.place_within(patience, event).await.map(drop)
    }

    /// The same, for whoever keeps where the event is: answers with its index in the log.
    ///
    /// # Errors
    /// As [`Trail::record`].
    pub async fn place_within(&self, patience: Duration, event: Event) -> Result<u64, Error> {
        let (done, recorded) = oneshot::channel();
        self.0.send(event, Some(done))?;
        match tokio::time::timeout(patience, recorded).await {
            Ok(Ok(result)) => result,
            // Too late, or the pipeline has ended.
            Err(_) | Ok(Err(_)) => Err(Error::Unavailable),
        }
    }

    /// Records an event of a kind that nothing waits for. One that cannot be queued is lost, and the log says so.
    pub fn note(&self, event: Event) {
        self.0.note(event);
    }
}

impl Inner {
    fn send(&self, event: Event, done: Option<oneshot::Sender<Result<u64, Error>>>) -> Result<(), Error> {
        let repeatable = event.is_repeated();
        let event = event.into_proto(&*self.clock)?;
        let job = Job {
            event,
            repeatable,
            done,
        };
        let tenant = job.event.tenant.clone();
        self.queue
            .try_push(&tenant, job)
            .map_err(|rejected| match rejected {
                Rejected::Full(_) => Error::QueueFull,
                Rejected::Closed(_) => Error::Unavailable,
            })
    }

    fn note(&self, event: Event) {
        if let Err(error) = self.send(event, None) {
            tracing::error!(%error, "an audit event is lost");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Records what the windows of refusals have counted, as they end. The pipeline does it a last time.
async fn sweep(inner: Weak<Inner>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        for event in inner.windows.due(inner.clock.now(), false) {
            inner.note(event);
        }
    }
}

impl Refusals for Trail {
    fn refused(&self, caller: Option<ServiceName>, method: &str, reason: Reason) {
        let inner = &self.0;
        if let Some(event) = inner
            .windows
            .refused((caller, method.to_owned(), reason), inner.clock.now())
        {
            inner.note(event);
        }
    }
}
