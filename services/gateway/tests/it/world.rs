//! A gateway and what is behind it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_gateway::{Config, Deps, Service};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, ListKeysRequest, RevokeKeyRequest, SendMessageRequest, Session,
};
use harombe_proto::types::v1::RunEvent;
use harombe_rpc::{GrpcChannel, TaskSet};
use harombe_testkit::{AuditSink, TestPki, clock};
use harombe_trail::{Kind, Trail};
use harombe_types::{ManualClock, ServiceName};
use tempfile::TempDir;
use tonic::{Response, Status, Streaming};

use crate::doubles::{self, Erasures, Hitl, Log, Runtime};
use crate::flaky::Flaky;
use crate::network::Network;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) pki: TestPki,
    pub(crate) sink: AuditSink,
    /// Stands at the channels to runtime and memory.
    pub(crate) flaky: Arc<Flaky>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) hitl: Arc<Hitl>,
    pub(crate) log: Arc<Log>,
    pub(crate) erasures: Arc<Erasures>,
    pub(crate) memory: harombe_memory::Service,
    pub(crate) gateway: Service,
    pub(crate) agent: AgentServiceClient<GrpcChannel>,
    deps: Deps,
    _tasks: TaskSet,
    data: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_owner(0).await
    }

    pub(crate) async fn with_owner(owner: u32) -> Self {
        Self::built(owner, Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::built(0, config).await
    }

    async fn built(owner: u32, config: Config) -> Self {
        let clock = clock();
        let pki = TestPki::new(clock.clone());
        let data = tempfile::tempdir().unwrap();
        let tasks = TaskSet::new();
        // What memory records is none of the gateway's.
        let theirs = AuditSink::new(&pki, clock.clone());
        let deps = harombe_memory::Deps {
            metrics: harombe_rpc::Metrics::new(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::Memory),
            trail: theirs.trail(ServiceName::Memory, clock.clone(), &tasks),
            data: data.path().to_owned(),
            models: data.path().join("models"),
            egress_proxy: theirs.channel(ServiceName::Memory),
        };
        let memory = harombe_memory::build(harombe_memory::Config::default(), deps)
            .await
            .unwrap();
        let sink = AuditSink::new(&pki, clock.clone());
        let runtime = Arc::new(Runtime::new(GrpcChannel::local(
            memory.server(),
            ServiceName::Runtime,
        )));
        let flaky = Arc::new(Flaky::default());
        let (hitl, log) = (Arc::new(Hitl::default()), Arc::new(Log::default()));
        let erasures = Arc::new(Erasures::default());
        let deps = Deps {
            metrics: harombe_rpc::Metrics::new(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::Gateway),
            trail: sink.trail(ServiceName::Gateway, clock.clone(), &tasks),
            owner,
            data: data.path().join("gateway"),
            admin_key: data.path().join("admin.key"),
            runtime: doubles::runtime(&runtime, &pki, clock.clone()).tapped(flaky.clone()),
            memory: GrpcChannel::local(memory.server(), ServiceName::Gateway).tapped(flaky.clone()),
            hitl: doubles::hitl(&hitl, &erasures, &pki, clock.clone()),
            audit: doubles::log(&log, &erasures, &pki, clock.clone()),
        };
        let gateway = harombe_gateway::build(config, deps.clone()).await.unwrap();
        let agent = AgentServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client));
        Self {
            clock,
            pki,
            sink,
            flaky,
            runtime,
            hitl,
            log,
            erasures,
            memory,
            gateway,
            agent,
            deps,
            _tasks: tasks,
            data,
        }
    }

    /// Another gateway of the same system, in the folder `name`.
    pub(crate) async fn another(&self, name: &str, config: Config) -> Service {
        self.another_with(name, config, self.deps.trail.clone()).await
    }

    /// The same, with a trail of its own.
    pub(crate) async fn another_with(&self, name: &str, config: Config, trail: Trail) -> Service {
        let data = self.folder(name);
        let deps = Deps {
            admin_key: data.join("admin.key"),
            data,
            trail,
            ..self.deps.clone()
        };
        harombe_gateway::build(config, deps).await.unwrap()
    }

    /// Another gateway, to which memory is the stand-in for what it erases of people.
    pub(crate) async fn erasing(&self) -> Service {
        self.before(doubles::memory(&self.erasures, &self.pki, self.clock.clone()))
            .await
    }

    /// Another gateway, to which `memory` is the memory.
    pub(crate) async fn before(&self, memory: GrpcChannel) -> Service {
        let data = self.folder("another");
        let deps = Deps {
            admin_key: data.join("admin.key"),
            data,
            memory,
            ..self.deps.clone()
        };
        harombe_gateway::build(Config::default(), deps).await.unwrap()
    }

    /// The folder of the gateway that is called so.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.data.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// What is counted, as it is scraped.
    pub(crate) fn metrics(&self) -> String {
        self.deps.metrics.encode()
    }

    /// A gateway in the same folder, as after a restart.
    pub(crate) async fn restarted(&self) -> Service {
        harombe_gateway::build(Config::default(), self.deps.clone())
            .await
            .unwrap()
    }

    /// Where that gateway puts the first key; that of the world's own without a name.
    pub(crate) fn admin_key(&self, name: Option<&str>) -> PathBuf {
        let folder = self.data.path();
        name.map_or(folder.to_owned(), |name| folder.join(name))
            .join("admin.key")
    }

    /// The first key, once it is in force.
    pub(crate) async fn first_key(&self) -> String {
        let created = self.sink.wait_for_kind(Kind::KeyCreated).await;
        let key = std::fs::read_to_string(self.admin_key(None)).unwrap();
        let key = key.trim_end().to_owned();
        assert!(created.details.contains(&key[4..16]), "{}", created.details);
        // It is recorded before it is activated.
        let mut keys = KeyServiceClient::new(Network::new(&self.gateway).with_key(&key));
        while keys.list_keys(ListKeysRequest::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
        key
    }

    /// Keys as the owner of the socket makes them.
    pub(crate) fn keys(&self) -> KeyServiceClient<GrpcChannel> {
        KeyServiceClient::new(GrpcChannel::local(self.gateway.server(), ServiceName::Client))
    }

    /// A new key like that, and its id.
    pub(crate) async fn key(&self, request: CreateKeyRequest) -> (String, String) {
        let created = self.keys().create_key(request).await.unwrap().into_inner();
        (created.api_key, created.key.unwrap().key_id)
    }

    pub(crate) fn agent_of(&self, key: &str) -> AgentServiceClient<Network> {
        AgentServiceClient::new(Network::new(&self.gateway).with_key(key))
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
            ..SendMessageRequest::default()
        };
        self.agent
            .clone()
            .send_message(request)
            .await
            .map(Response::into_inner)
    }
}

/// A key of `local` for `subject` with those roles.
pub(crate) fn key_for(subject: &str, roles: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest {
        name: "a test's".to_owned(),
        subject: subject.to_owned(),
        roles: roles.iter().map(ToString::to_string).collect(),
        ..CreateKeyRequest::default()
    }
}

/// Takes a key of the caller's own tenant back.
pub(crate) fn revoke(key_id: &str) -> RevokeKeyRequest {
    RevokeKeyRequest {
        key_id: key_id.to_owned(),
        ..RevokeKeyRequest::default()
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

pub(crate) const UNKNOWN: (Code, Reason) = (Code::Unauthenticated, Reason::Unauthenticated);
pub(crate) const NOT_ALLOWED: (Code, Reason) = (Code::PermissionDenied, Reason::NotAllowed);
pub(crate) const LIMIT: (Code, Reason) = (Code::ResourceExhausted, Reason::LimitExceeded);
pub(crate) const INVALID: (Code, Reason) = (Code::InvalidArgument, Reason::InvalidArgument);
pub(crate) const NOT_FOUND: (Code, Reason) = (Code::NotFound, Reason::NotFound);
pub(crate) const WALL: Duration = Duration::from_secs(15 * 60);
