//! An audit service that keeps events in memory, so that tests of other services can read them and see what happens when
//! they are not taken.

use std::sync::Arc;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::audit::v1::audit_service_server::{AuditService, AuditServiceServer};
use harombe_proto::audit::v1::{
    AppendBatchRequest, AppendBatchResponse, AppendRequest, AppendResponse, Event, GetCheckpointRequest,
    GetCheckpointResponse, GetConsistencyProofRequest, GetConsistencyProofResponse, GetInclusionProofRequest,
    GetInclusionProofResponse, QueryRequest, QueryResponse,
};
use harombe_rpc::{Deps, GrpcChannel, LogRefusals, Server, TaskSet};
use harombe_trail::{Kind, Trail};
use harombe_types::{Clock, ServiceName, Tenant};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::TestPki;

/// How the sink misbehaves.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// Takes nothing: UNAVAILABLE.
    Unavailable,
    /// Takes the events, and yet answers UNAVAILABLE.
    AnswerLost,
    /// Never answers.
    Silent,
    /// INVALID_ARGUMENT for every batch that has an event of this kind.
    Rejects(Kind),
    /// INVALID_ARGUMENT for every batch that has an event of this tenant.
    RejectsTenant(Tenant),
}

impl Fault {
    fn rejects(&self, events: &[Event]) -> bool {
        events.iter().any(|event| match self {
            Self::Rejects(kind) => event.kind == kind.as_str(),
            Self::RejectsTenant(tenant) => event.tenant == tenant.as_str(),
            _ => false,
        })
    }
}

/// Events as audit would have them, without a log. Clones share them.
#[derive(Clone)]
pub struct AuditSink {
    state: Arc<State>,
    server: Server,
}

struct State {
    events: Mutex<Vec<Event>>,
    batches: Mutex<Vec<usize>>,
    size: watch::Sender<usize>,
    fault: watch::Sender<Fault>,
}

impl AuditSink {
    /// # Panics
    /// When the protos cannot be served.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test whose server cannot be built fails")]
    pub fn new(pki: &TestPki, clock: Arc<dyn Clock>) -> Self {
        let state = Arc::new(State {
            events: Mutex::default(),
            batches: Mutex::default(),
            size: watch::Sender::new(0),
            fault: watch::Sender::new(Fault::None),
        });
        let deps = Deps {
            metrics: harombe_rpc::Metrics::new(),
            door: pki.door(),
            clock,
            refusals: Arc::new(LogRefusals),
        };
        let service = AuditServiceServer::new(Handler(Arc::clone(&state)));
        let server = Server::builder(ServiceName::Audit, deps)
            .service(service)
            .build()
            .unwrap();
        Self { state, server }
    }

    #[must_use]
    pub fn channel(&self, as_: ServiceName) -> GrpcChannel {
        GrpcChannel::local(&self.server, as_)
    }

    /// The trail of `service` into this sink. The operator's tenant is `local`.
    #[must_use]
    pub fn trail(&self, service: ServiceName, clock: Arc<dyn Clock>, tasks: &TaskSet) -> Trail {
        let operator = crate::tenant("local");
        Trail::start(self.channel(service), service, operator, clock, tasks)
    }

    /// From now on.
    pub fn fail(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
    }

    /// Everything taken, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.state.events.lock().clone()
    }

    #[must_use]
    pub fn of_kind(&self, kind: Kind) -> Vec<Event> {
        self.events()
            .into_iter()
            .filter(|event| event.kind == kind.as_str())
            .collect()
    }

    /// How many events each batch had that arrived, taken or not.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        self.state.batches.lock().clone()
    }

    /// Waits until at least `count` events were taken.
    pub async fn wait_for(&self, count: usize) {
        // The sender is ours, so waiting cannot fail.
        drop(self.state.size.subscribe().wait_for(|size| *size >= count).await);
    }

    /// Waits until an event of `kind` was taken, and returns the first.
    pub async fn wait_for_kind(&self, kind: Kind) -> Event {
        let mut size = self.state.size.subscribe();
        loop {
            if let Some(event) = self.of_kind(kind).into_iter().next() {
                return event;
            }
            drop(size.changed().await);
        }
    }
}

struct Handler(Arc<State>);

impl Handler {
    async fn append(&self, events: Vec<Event>) -> Result<AppendBatchResponse, Status> {
        let state = &self.0;
        state.batches.lock().push(events.len());
        let fault = state.fault.borrow().clone();
        match &fault {
            Fault::Unavailable => return Err(unavailable()),
            Fault::Silent => {
                let mut fault = state.fault.subscribe();
                drop(fault.wait_for(|fault| *fault != Fault::Silent).await);
                return Err(unavailable());
            }
            fault if fault.rejects(&events) => {
                let rejected = Failure::new(
                    Code::InvalidArgument,
                    Reason::InvalidArgument,
                    "event is not valid",
                );
                return Err(rejected.to_status());
            }
            Fault::None | Fault::AnswerLost | Fault::Rejects(_) | Fault::RejectsTenant(_) => {}
        }
        let answer = state.take(events);
        if fault == Fault::AnswerLost {
            Err(unavailable())
        } else {
            Ok(answer)
        }
    }
}

impl State {
    /// As audit does: an event id is taken once, and who sends it again from elsewhere is told so.
    fn take(&self, events: Vec<Event>) -> AppendBatchResponse {
        let mut held = self.events.lock();
        let mut answer = AppendBatchResponse::default();
        for (position, event) in (0..).zip(events) {
            let known = held.iter().position(|other| other.event_id == event.event_id);
            let other = known.and_then(|index| held.get(index));
            let number = (&event.instance, event.instance_seq);
            if other.is_some_and(|other| (&other.instance, other.instance_seq) != number) {
                answer.recorded_before.push(position);
            }
            let index = known.unwrap_or(held.len());
            if known.is_none() {
                held.push(event);
            }
            answer.indexes.push(u64::try_from(index).unwrap_or(u64::MAX));
        }
        self.size.send_replace(held.len());
        answer
    }
}

fn unavailable() -> Status {
    Failure::new(
        Code::Unavailable,
        Reason::AuditUnavailable,
        "the sink was told to fail",
    )
    .to_status()
}

/// The reads are audit's own business; services under test do not read.
fn not_here() -> Status {
    Status::unimplemented("the audit sink of tests has no reads")
}

#[tonic::async_trait]
impl AuditService for Handler {
    type QueryStream = tokio_stream::Empty<Result<QueryResponse, Status>>;

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let events = request.into_inner().event.into_iter().collect();
        let index = Handler::append(self, events)
            .await?
            .indexes
            .first()
            .copied()
            .unwrap_or_default();
        Ok(Response::new(AppendResponse { index }))
    }

    async fn append_batch(
        &self,
        request: Request<AppendBatchRequest>,
    ) -> Result<Response<AppendBatchResponse>, Status> {
        let events = request.into_inner().events;
        Handler::append(self, events).await.map(Response::new)
    }

    async fn query(&self, _: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        Err(not_here())
    }

    async fn get_checkpoint(
        &self,
        _: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        Err(not_here())
    }

    async fn get_consistency_proof(
        &self,
        _: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        Err(not_here())
    }

    async fn get_inclusion_proof(
        &self,
        _: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        Err(not_here())
    }
}
