//! A service with a database of its own, and clients that call it as the gateway and as a runtime.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::{CertificateAuthority, ServiceIdentity, Token, TokenMinter};
use harombe_memory::{Config, Deps, Service, build};
use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::erasure_service_client::ErasureServiceClient;
use harombe_proto::memory::v1::memory_service_client::MemoryServiceClient;
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::run_journal_service_client::RunJournalServiceClient;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunFinished, TextFinished};
use harombe_rpc::{GrpcChannel, Metrics, RequestExt as _, TaskSet};
use harombe_sql::{PostgresConfig, StoreConfig};
use harombe_testkit::postgres::Database;
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{
    Clock as _, ManualClock, Person, Role, RunId, RunPrincipal, ServiceName, SessionId, SystemClock,
    Timestamp,
};
use tempfile::TempDir;
use tonic::{Request, Response, Status};

pub(crate) const LEASE: Duration = Duration::from_secs(10);
pub(crate) const WALL_LIMIT: Duration = Duration::from_secs(900);

/// Which store the service uses.
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "each test program uses one of them")]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

pub(crate) struct Rig {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: Service,
    pub(crate) metrics: Metrics,
    pub(crate) sink: AuditSink,
    pub(crate) trails: TaskSet,
    pub(crate) minter: TokenMinter,
    pub(crate) identity: ServiceIdentity,
    pub(crate) directory: Arc<Home>,
    pub(crate) config: Config,
}

/// The folder of the model that setup gets.
pub(crate) fn model() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let model = cache
        .expect("a home")
        .join("harombe/tools/models/all-minilm-l6-v2");
    assert!(
        model.is_dir(),
        "{} is not there; run deploy/setup/models.sh",
        model.display()
    );
    model
}

/// Has memories found by meaning, with as few threads as that takes and however busy the machine is.
pub(crate) fn by_meaning(config: &mut Config) {
    config.embedding.folder = Some(model());
    config.embedding.threads = 1;
    config.recall.dense_within = Duration::from_secs(30).into();
}

/// What is kept as long as somebody uses it.
pub(crate) struct Home {
    pub(crate) path: PathBuf,
    #[expect(dead_code, reason = "it goes with this")]
    pub(crate) directory: Option<TempDir>,
    #[expect(dead_code, reason = "it goes with this")]
    pub(crate) database: Option<Database>,
}

impl Home {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a configuration that is changed before it starts.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (mut config, database) = match crate::BACKEND {
            Backend::Sqlite => (Config::default(), None),
            Backend::Postgres => {
                let database = Database::create().await;
                (postgres(database.config()), Some(database))
            }
        };
        change(&mut config);
        Self::on(config, database).await
    }

    pub(crate) async fn on(config: Config, database: Option<Database>) -> Self {
        Self::under(tempfile::tempdir().expect("directory"), config, database).await
    }

    /// With its files in this directory.
    pub(crate) async fn under(directory: TempDir, config: Config, database: Option<Database>) -> Self {
        let home = Home {
            path: directory.path().to_owned(),
            directory: Some(directory),
            database,
        };
        Self::at(home, config).await
    }

    pub(crate) async fn at(home: Home, config: Config) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let authority = CertificateAuthority::create("test.example", &*clock).expect("authority");
        let identity = |name| authority.issue(name, &*clock).expect("identity");
        let (gateway, memory) = (identity(ServiceName::Gateway), identity(ServiceName::Memory));
        let directory = Arc::new(home);
        let sink = AuditSink::new(&TestPki::new(clock.clone()), clock.clone());
        let trails = TaskSet::new();
        let (service, metrics) = start(&config, &clock, &memory, directory.path(), (&sink, &trails)).await;
        Self {
            clock,
            service,
            metrics,
            sink,
            trails,
            minter: TokenMinter::new(gateway),
            identity: memory,
            directory,
            config,
        }
    }

    /// Shuts the service down and starts it again over the same files.
    pub(crate) async fn restart(self) -> Self {
        self.service.shutdown(Duration::from_secs(5)).await;
        let trails = TaskSet::new();
        let (service, metrics) = start(
            &self.config,
            &self.clock,
            &self.identity,
            self.directory.path(),
            (&self.sink, &trails),
        )
        .await;
        Self {
            trails,
            service,
            metrics,
            ..self
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn as_gateway(&self) -> Clients {
        self.clients(ServiceName::Gateway)
    }

    pub(crate) fn as_runtime(&self) -> Clients {
        self.clients(ServiceName::Runtime)
    }

    fn clients(&self, name: ServiceName) -> Clients {
        let channel = GrpcChannel::local(self.service.server(), name);
        Clients {
            conversations: ConversationServiceClient::new(channel.clone()),
            erasure: ErasureServiceClient::new(channel.clone()),
            personal: PersonalMemoryServiceClient::new(channel.clone()),
            memory: MemoryServiceClient::new(channel.clone()),
            journal: RunJournalServiceClient::new(channel),
        }
    }

    pub(crate) fn person(&self, tenant: &str, subject: &str) -> Token {
        self.person_with(tenant, subject, &[Role::User])
    }

    pub(crate) fn person_with(&self, tenant: &str, subject: &str, roles: &[Role]) -> Token {
        let person = Person {
            tenant: tenant.parse().expect("tenant"),
            subject: subject.parse().expect("subject"),
            roles: roles.iter().copied().collect(),
            allow_self: false,
        };
        self.minter
            .person(&person, ServiceName::Memory, self.now())
            .expect("token")
    }

    pub(crate) fn ann(&self) -> Token {
        self.person("acme", "ann")
    }

    /// A run of Ann's in the session, with its token.
    pub(crate) fn run_in(&self, session: SessionId) -> TestRun {
        self.run_of("acme", "ann", session, RunId::generate(&SystemClock))
    }

    pub(crate) fn run_of(&self, tenant: &str, subject: &str, session: SessionId, run: RunId) -> TestRun {
        self.run_for(WALL_LIMIT, tenant, subject, session, run)
    }

    /// A run whose token is valid for so long.
    pub(crate) fn run_for(
        &self,
        limit: Duration,
        tenant: &str,
        subject: &str,
        session: SessionId,
        run: RunId,
    ) -> TestRun {
        let principal = RunPrincipal {
            tenant: tenant.parse().expect("tenant"),
            subject: subject.parse().expect("subject"),
            agent: "default".parse().expect("agent"),
            session,
            run,
        };
        let token = self
            .minter
            .run(&principal, self.now().plus(limit), self.now())
            .expect("token");
        TestRun { run, token }
    }

    pub(crate) async fn new_session(&self) -> SessionId {
        let id = SessionId::generate(&SystemClock);
        let request = pb::CreateSessionRequest {
            session_id: id.to_string(),
            agent: "default".to_owned(),
        };
        self.as_gateway()
            .conversations
            .create_session(Request::new(request).with_token(self.ann()))
            .await
            .expect("session");
        id
    }

    /// A session with a turn that has begun.
    pub(crate) async fn begun(&self) -> (SessionId, TestRun, pb::BeginTurnResponse) {
        let session = self.new_session().await;
        let run = self.run_in(session);
        let begun = self.begin(&run, "m1", "hello").await.expect("turn");
        (session, run, begun)
    }

    pub(crate) async fn begin(
        &self,
        run: &TestRun,
        message_id: &str,
        text: &str,
    ) -> Result<pb::BeginTurnResponse, Failure> {
        let request = pb::BeginTurnRequest {
            client_message_id: message_id.to_owned(),
            text: text.to_owned(),
            entries: vec![entry("begun")],
            ..pb::BeginTurnRequest::default()
        };
        self.begin_with(run, request).await
    }

    pub(crate) async fn begin_with(
        &self,
        run: &TestRun,
        request: pb::BeginTurnRequest,
    ) -> Result<pb::BeginTurnResponse, Failure> {
        answer(
            self.as_runtime()
                .conversations
                .begin_turn(run.request(request))
                .await,
        )
    }

    /// The newest whole turns within so many bytes.
    pub(crate) async fn history(&self, run: &TestRun, max_turn_bytes: u32) -> pb::BuildContextResponse {
        let request = run.request(pb::BuildContextRequest {
            max_turn_bytes,
            ..pb::BuildContextRequest::default()
        });
        answer(self.as_runtime().memory.build_context(request).await).expect("history")
    }

    pub(crate) async fn finish(&self, run: &TestRun, epoch: u64, text: &str) -> Result<u64, Failure> {
        let request = pb::FinishTurnRequest {
            epoch,
            messages: vec![said(pb::Author::Assistant, text)],
            entries: vec![finished()],
            state: pb::RunState::Finished.into(),
            ..pb::FinishTurnRequest::default()
        };
        let answered = self
            .as_runtime()
            .conversations
            .finish_turn(run.request(request))
            .await;
        answer(answered).map(|response| response.cursor)
    }

    pub(crate) async fn append(
        &self,
        run: &TestRun,
        epoch: u64,
        expected_cursor: u64,
        entries: Vec<pb::JournalEntry>,
    ) -> Result<pb::AppendResponse, Failure> {
        let request = pb::AppendRequest {
            epoch,
            entries,
            expected_cursor,
        };
        answer(self.as_runtime().journal.append(run.request(request)).await)
    }

    pub(crate) async fn get_run(&self, run: RunId) -> Result<pb::Run, Failure> {
        let request = Request::new(pb::GetRunRequest {
            run_id: run.to_string(),
        })
        .with_token(self.ann());
        answer(self.as_gateway().journal.get_run(request).await).map(|response| response.run.expect("run"))
    }

    pub(crate) async fn session(&self, id: SessionId) -> Result<pb::Session, Failure> {
        let request = Request::new(pb::GetSessionRequest {
            session_id: id.to_string(),
        })
        .with_token(self.ann());
        answer(self.as_gateway().conversations.get_session(request).await)
            .map(|r| r.session.expect("session"))
    }

    pub(crate) async fn read(&self, run: &TestRun) -> (pb::ReadHeader, Vec<pb::JournalEntry>) {
        let request = run.request(pb::ReadRequest { after_cursor: 0 });
        let mut stream = self
            .as_runtime()
            .journal
            .read(request)
            .await
            .expect("read")
            .into_inner();
        let mut header = None;
        let mut entries = Vec::new();
        while let Some(item) = stream.message().await.expect("item") {
            match item.item.expect("item") {
                pb::read_response::Item::Header(first) => header = Some(first),
                pb::read_response::Item::Entry(entry) => entries.push(entry),
            }
        }
        (header.expect("header"), entries)
    }
}

pub(crate) fn postgres(config: PostgresConfig) -> Config {
    Config {
        store: StoreConfig {
            postgres: Some(config),
        },
        ..Config::default()
    }
}

pub(crate) async fn start(
    config: &Config,
    clock: &Arc<ManualClock>,
    identity: &ServiceIdentity,
    data: &Path,
    (sink, trails): (&AuditSink, &TaskSet),
) -> (Service, Metrics) {
    let metrics = Metrics::new();
    let deps = Deps {
        metrics: metrics.clone(),
        clock: Arc::clone(clock) as Arc<dyn harombe_types::Clock>,
        identity: identity.clone(),
        trail: sink.trail(ServiceName::Memory, clock.clone(), trails),
        data: data.to_owned(),
        models: data.join("models"),
        egress_proxy: sink.channel(ServiceName::Memory),
    };
    let service = build(config.clone(), deps).await.expect("service");
    (service, metrics)
}

pub(crate) struct Clients {
    pub(crate) conversations: ConversationServiceClient<GrpcChannel>,
    pub(crate) erasure: ErasureServiceClient<GrpcChannel>,
    pub(crate) personal: PersonalMemoryServiceClient<GrpcChannel>,
    pub(crate) memory: MemoryServiceClient<GrpcChannel>,
    pub(crate) journal: RunJournalServiceClient<GrpcChannel>,
}

pub(crate) struct TestRun {
    pub(crate) run: RunId,
    pub(crate) token: Token,
}

impl TestRun {
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        Request::new(message).with_token(&self.token)
    }
}

pub(crate) fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Failure> {
    result.map(Response::into_inner).map_err(Failure::from)
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>, code: Code, reason: Reason) -> String {
    let failure = result.expect_err("a refusal");
    assert_eq!((failure.code, failure.reason), (code, reason), "{failure}");
    failure.message
}

pub(crate) fn said(author: pb::Author, text: &str) -> pb::Message {
    pb::Message {
        author: author.into(),
        text: text.to_owned(),
        ..pb::Message::default()
    }
}

pub(crate) fn entry(text: &str) -> pb::JournalEntry {
    let event = Event::TextFinished(TextFinished {
        text: text.to_owned(),
    });
    pb::JournalEntry {
        event: Some(RunEvent {
            event: Some(event),
            ..RunEvent::default()
        }),
        state: text.as_bytes().to_vec().into(),
        ..pb::JournalEntry::default()
    }
}

pub(crate) fn finished() -> pb::JournalEntry {
    let event = RunEvent {
        event: Some(Event::RunFinished(RunFinished::default())),
        ..RunEvent::default()
    };
    pb::JournalEntry {
        event: Some(event),
        ..pb::JournalEntry::default()
    }
}

/// What [`entry`] put into an event.
pub(crate) fn text(event: &RunEvent) -> &str {
    match &event.event {
        Some(Event::TextFinished(finished)) => &finished.text,
        other => panic!("no text in {other:?}"),
    }
}
