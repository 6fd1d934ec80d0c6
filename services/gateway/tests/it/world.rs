//! A gateway and what is behind it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_gateway::{Config, Deps, Service};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::{CreateSessionRequest, SendMessageRequest, Session};
use harombe_proto::types::v1::RunEvent;
use harombe_rpc::{GrpcChannel, LogRefusals, TaskSet};
use harombe_testkit::{AuditSink, TestPki, clock};
use harombe_types::{ManualClock, ServiceName};
use tempfile::TempDir;
use tonic::{Response, Status, Streaming};

use crate::doubles::{self, Hitl, Log, Runtime};

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) pki: TestPki,
    pub(crate) sink: AuditSink,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) hitl: Arc<Hitl>,
    pub(crate) log: Arc<Log>,
    pub(crate) memory: harombe_memory::Service,
    pub(crate) gateway: Service,
    pub(crate) agent: AgentServiceClient<GrpcChannel>,
    _tasks: TaskSet,
    _data: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_owner(0).await
    }

    pub(crate) async fn with_owner(owner: u32) -> Self {
        let clock = clock();
        let pki = TestPki::new(clock.clone());
        let data = tempfile::tempdir().unwrap();
        let deps = harombe_memory::Deps {
            metrics: harombe_rpc::Metrics::new(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::Memory),
            refusals: Arc::new(LogRefusals),
            data: data.path().to_owned(),
        };
        let memory = harombe_memory::build(harombe_memory::Config::default(), deps)
            .await
            .unwrap();
        let tasks = TaskSet::new();
        let sink = AuditSink::new(&pki, clock.clone());
        let runtime = Arc::new(Runtime::new(GrpcChannel::local(
            memory.server(),
            ServiceName::Runtime,
        )));
        let (hitl, log) = (Arc::new(Hitl::default()), Arc::new(Log::default()));
        let deps = Deps {
            metrics: harombe_rpc::Metrics::new(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::Gateway),
            trail: sink.trail(ServiceName::Gateway, clock.clone(), &tasks),
            owner,
            runtime: doubles::runtime(&runtime, &pki, clock.clone()),
            memory: GrpcChannel::local(memory.server(), ServiceName::Gateway),
            hitl: doubles::hitl(&hitl, &pki, clock.clone()),
            audit: doubles::log(&log, &pki, clock.clone()),
        };
        let gateway = harombe_gateway::build(Config::default(), deps).await.unwrap();
        let agent = AgentServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client));
        Self {
            clock,
            pki,
            sink,
            runtime,
            hitl,
            log,
            memory,
            gateway,
            agent,
            _tasks: tasks,
            _data: data,
        }
    }

    pub(crate) async fn session(&self) -> Session {
        let created = self
            .agent
            .clone()
            .create_session(CreateSessionRequest::default())
            .await
            .unwrap();
        created.into_inner().session.unwrap()
    }

    pub(crate) async fn send(
        &self,
        session: &str,
        id: &str,
        text: &str,
    ) -> Result<Streaming<harombe_proto::agent::v1::SendMessageResponse>, Status> {
        let request = SendMessageRequest {
            session_id: session.to_owned(),
            client_message_id: id.to_owned(),
            text: text.to_owned(),
        };
        self.agent
            .clone()
            .send_message(request)
            .await
            .map(Response::into_inner)
    }
}

/// Every event of a stream that must end well.
pub(crate) async fn events(
    mut stream: Streaming<harombe_proto::agent::v1::SendMessageResponse>,
) -> Vec<RunEvent> {
    let mut events = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        events.push(message.event.unwrap());
    }
    events
}

pub(crate) async fn refused<T>(answer: impl Future<Output = Result<T, Status>>) -> (Code, Reason) {
    match answer.await {
        Ok(_) => panic!("this was to be refused"),
        Err(status) => {
            let failure = Failure::from(status);
            (failure.code, failure.reason)
        }
    }
}

pub(crate) const INVALID: (Code, Reason) = (Code::InvalidArgument, Reason::InvalidArgument);
pub(crate) const NOT_FOUND: (Code, Reason) = (Code::NotFound, Reason::NotFound);
pub(crate) const WALL: Duration = Duration::from_secs(15 * 60);
