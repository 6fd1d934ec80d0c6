//! The one place from which events leave, so that their sequence has no gaps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_fair::Queue;
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::{AppendBatchRequest, Event};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_types::{Clock, InstanceId, ServiceName};
use prost::Message as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::Error;
use crate::refusals::Windows;

const MAX_BATCH: usize = 256;
/// Half of what a message may have; one event is at most [`crate::event::MAX_EVENT`].
const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
const DEADLINE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An event on its way, and who waits for it.
pub(crate) struct Job {
    pub(crate) event: Event,
    /// It may be in the log already.
    pub(crate) repeatable: bool,
    /// Is told where it is in the log.
    pub(crate) done: Option<oneshot::Sender<Result<u64, Error>>>,
}

/// Events that wait, in a lane for each tenant.
pub(crate) type Jobs = Queue<String, Job>;

pub(crate) struct Pipeline {
    service: ServiceName,
    clock: Arc<dyn Clock>,
    windows: Arc<Windows>,
    audit: AuditServiceClient<GrpcChannel>,
    instance: String,
    numbers: Numbers,
    /// Taken from the queue, and left over from a batch that was full.
    held: Option<Job>,
}

impl Pipeline {
    pub(crate) fn new(
        audit: GrpcChannel,
        service: ServiceName,
        clock: Arc<dyn Clock>,
        windows: Arc<Windows>,
    ) -> Self {
        let instance = InstanceId::generate(&*clock).to_string();
        let audit = AuditServiceClient::new(audit);
        Self {
            service,
            clock,
            windows,
            audit,
            instance,
            numbers: Numbers::default(),
            held: None,
        }
    }

    /// Sends until `stop`, then what is still queued and the refusals that no event has counted.
    pub(crate) async fn run(mut self, jobs: Arc<Jobs>, stop: CancellationToken) {
        while let Some(Some(first)) = stop.run_until_cancelled(self.next(&jobs)).await {
            self.send_from(first, &jobs).await;
        }
        jobs.close();
        while let Some(first) = self.next(&jobs).await {
            self.send_from(first, &jobs).await;
        }
        let uncounted = self.windows.due(self.clock.now(), true);
        let uncounted = uncounted
            .into_iter()
            .filter_map(|event| event.into_proto(&*self.clock).ok());
        let uncounted = uncounted.map(|event| Job {
            event,
            repeatable: false,
            done: None,
        });
        self.deliver(uncounted.collect()).await;
    }

    async fn next(&mut self, jobs: &Jobs) -> Option<Job> {
        match self.held.take() {
            Some(job) => Some(job),
            None => jobs.take(1).await.pop(),
        }
    }

    /// Sends `first` with whatever else is queued now, tenants in turn. A repeatable event goes alone: if it was recorded
    /// before, the number sent with it is in no entry, and must be free for the next.
    async fn send_from(&mut self, first: Job, jobs: &Jobs) {
        let mut bytes = first.event.encoded_len();
        let alone = first.repeatable;
        let mut batch = vec![first];
        while !alone && batch.len() < MAX_BATCH {
            let Some(job) = jobs.try_take(1).pop() else { break };
            bytes += job.event.encoded_len();
            if bytes > MAX_BATCH_BYTES || job.repeatable {
                self.held = Some(job);
                break;
            }
            batch.push(job);
        }
        self.deliver(batch).await;
    }

    /// Returns when every event of the batch is recorded or definitively rejected.
    async fn deliver(&mut self, batch: Vec<Job>) {
        // Parts still to be sent, the next one last.
        let mut parts = vec![batch];
        parts.retain(|part| !part.is_empty());
        while let Some(mut part) = parts.pop() {
            match self.send(&mut part).await {
                Ok(indexes) => {
                    for (job, index) in part.into_iter().zip(indexes) {
                        job.finish(Ok(index));
                    }
                }
                Err(failure) => match part.len() {
                    0 | 1 => part.into_iter().for_each(|job| job.reject(&failure)),
                    length => {
                        let rest = part.split_off(length / 2);
                        parts.push(rest);
                        parts.push(part);
                    }
                },
            }
        }
    }

    /// Sends one batch, as often as needed and always with the same numbers: whether an attempt that failed was stored
    /// cannot be known, and audit takes an event id only once. Returns where they are in the log.
    async fn send(&mut self, batch: &mut [Job]) -> Result<Vec<u64>, Failure> {
        for job in batch.iter_mut() {
            job.event.instance.clone_from(&self.instance);
            job.event.instance_seq = self.numbers.take();
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let events = batch.iter().map(|job| job.event.clone()).collect();
            let request = Request::new(AppendBatchRequest { events }).with_deadline(DEADLINE);
            let status = match self.audit.append_batch(request).await {
                Ok(appended) => {
                    let appended = appended.into_inner();
                    for position in appended.recorded_before {
                        let job = usize::try_from(position)
                            .ok()
                            .and_then(|position| batch.get(position));
                        job.into_iter()
                            .for_each(|job| self.numbers.give_back(job.event.instance_seq));
                    }
                    let missing = batch.len().saturating_sub(appended.indexes.len());
                    let absent = std::iter::repeat_n(0, missing);
                    return Ok(appended.indexes.into_iter().chain(absent).collect());
                }
                Err(status) => status,
            };
            if let Some(failure) = refusal(&status) {
                // None of them is in the log.
                for job in batch.iter() {
                    self.numbers.give_back(job.event.instance_seq);
                }
                return Err(failure);
            }
            let failure = Failure::from(status);
            tracing::warn!(
                service = %self.service,
                events = batch.len(),
                reason = %failure.reason,
                error = %failure,
                "audit does not take events",
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What audit said of the events themselves: it would say the same of them every time, and nothing of the batch is in
/// the log. Everything else may pass, a full queue (`AUDIT_UNAVAILABLE`) and a connection that is told to slow down included.
fn refusal(status: &Status) -> Option<Failure> {
    let failure = Failure::from(status);
    let definitive = match failure.code {
        Code::InvalidArgument | Code::AlreadyExists => true,
        // The transport has this code too, but no reason with it.
        Code::ResourceExhausted => {
            failure.reason == Reason::LimitExceeded
                && failure.retry_after.is_none()
                && !status.details().is_empty()
        }
        _ => false,
    };
    definitive.then_some(failure)
}

/// The numbers of this instance's events: each is in the log once, and in the end none is left out.
#[derive(Debug, Default)]
struct Numbers {
    /// Given so far.
    given: u64,
    /// Given for events that turned out to be in the log already, or that it did not take.
    free: BTreeSet<u64>,
}

impl Numbers {
    /// The lowest that is not in use.
    fn take(&mut self) -> u64 {
        self.free.pop_first().unwrap_or_else(|| {
            self.given += 1;
            self.given
        })
    }

    fn give_back(&mut self, number: u64) {
        self.free.insert(number);
        while self.free.remove(&self.given) {
            self.given -= 1;
        }
    }
}

impl Job {
    fn finish(self, result: Result<u64, Error>) {
        if let Some(done) = self.done {
            // Whoever gave up waiting has refused the act already.
            drop(done.send(result));
        }
    }

    fn reject(self, failure: &Failure) {
        tracing::error!(kind = self.event.kind, event = self.event.event_id, error = %failure, "audit rejected an event");
        self.finish(Err(Error::Rejected(failure.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_not_used_is_the_next() {
        let mut numbers = Numbers::default();
        let taken =
            |numbers: &mut Numbers, count: usize| (0..count).map(|_| numbers.take()).collect::<Vec<_>>();
        assert_eq!(taken(&mut numbers, 3), [1, 2, 3]);
        numbers.give_back(2);
        assert_eq!(taken(&mut numbers, 2), [2, 4]);
        for number in [3, 4, 2] {
            numbers.give_back(number);
        }
        assert_eq!((numbers.given, numbers.free.len()), (1, 0));
        assert_eq!(taken(&mut numbers, 2), [2, 3]);
    }

    #[test]
    fn only_what_audit_says_of_the_event_itself_is_final() {
        let told = |code, reason| refusal(&Failure::new(code, reason, "no").to_status()).is_some();
        assert!(told(Code::InvalidArgument, Reason::InvalidArgument));
        assert!(told(Code::AlreadyExists, Reason::InvalidArgument));
        assert!(told(Code::ResourceExhausted, Reason::LimitExceeded));

        assert!(!told(Code::Unavailable, Reason::AuditUnavailable));
        assert!(!told(Code::ResourceExhausted, Reason::AuditUnavailable));
        assert!(!told(Code::Internal, Reason::Internal));
        let mut busy = Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, "busy");
        busy.retry_after = Some(FIRST_PAUSE);
        assert!(refusal(&busy.to_status()).is_none());
        assert!(refusal(&Status::resource_exhausted("enhance your calm")).is_none());
    }
}
