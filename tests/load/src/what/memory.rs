//! Memories of many tenants, and questions about them: what recalling and remembering are measured with.

mod corpus;
pub(super) mod own;
pub(super) mod recall;
pub(super) mod remember;
pub(super) mod soak;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harombe_identity::TokenMinter;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::memory_service_client::MemoryServiceClient;
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::{
    CreateSessionRequest, GetMemoryStatsRequest, GetMemoryStatsResponse, ImportMemoriesRequest, Memory,
    MemoryKind, Provenance, RecallMeans, RecallRequest,
};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_types::{
    Clock as _, EventId, Person, Role, RunId, RunPrincipal, ServiceName, SessionId, Subject, SystemClock,
    Tenant,
};
use tonic::Request;

use super::Result;
use super::world::World;

/// Memories in one import, and in one session.
const BATCH: u32 = 256;
/// How often to ask whether everything is embedded.
const LOOK: Duration = Duration::from_millis(200);
/// With nothing embedded for so long, something is wrong.
const STALLED: Duration = Duration::from_secs(120);
/// The longest any measurement lasts, its preparation included.
const TOKEN_LIFE: Duration = Duration::from_secs(86_400);

/// The memory service, as gateway and runtime call it in the names of many tenants.
struct Callers {
    minter: TokenMinter,
    conversations: ConversationServiceClient<GrpcChannel>,
    personal: PersonalMemoryServiceClient<GrpcChannel>,
    runs: MemoryServiceClient<GrpcChannel>,
    /// A run of each tenant's, and its token.
    tenants: Vec<(RunPrincipal, String)>,
    /// Questions for which nothing was found.
    nothing_found: AtomicU64,
}

impl Callers {
    fn new(world: &World, tenants: u32) -> Result<Self> {
        let minter = world.minter()?;
        let clock = SystemClock;
        let mut known = Vec::new();
        for tenant in 0..tenants {
            let run = RunPrincipal {
                tenant: format!("tenant-{tenant}").parse()?,
                subject: "load".parse()?,
                agent: "default".parse()?,
                session: SessionId::generate(&clock),
                run: RunId::generate(&clock),
            };
            let token = minter.run(&run, clock.now().plus(TOKEN_LIFE), clock.now())?;
            known.push((run, token.as_ref().to_owned()));
        }
        Ok(Self {
            minter,
            conversations: ConversationServiceClient::new(
                world.channel(ServiceName::Memory, ServiceName::Gateway)?,
            ),
            personal: PersonalMemoryServiceClient::new(
                world.channel(ServiceName::Memory, ServiceName::Gateway)?,
            ),
            runs: MemoryServiceClient::new(world.channel(ServiceName::Memory, ServiceName::Runtime)?),
            tenants: known,
            nothing_found: AtomicU64::new(0),
        })
    }

    /// In the name of the tenant with that number.
    fn as_run<T>(&self, tenant: u32, message: T) -> Option<Request<T>> {
        let (_, token) = self.tenants.get(usize::try_from(tenant).ok()?)?;
        Some(Request::new(message).with_token(token))
    }

    fn as_person<T>(&self, tenant: &Tenant, subject: &Subject, message: T) -> Result<Request<T>> {
        let person = Person {
            tenant: tenant.clone(),
            subject: subject.clone(),
            roles: [Role::User].into(),
            allow_self: false,
        };
        let token = self
            .minter
            .person(&person, ServiceName::Memory, SystemClock.now())?;
        Ok(Request::new(message).with_token(token))
    }

    /// Makes the session of each tenant's run, without which the run can save nothing.
    async fn begin(&self) -> Result<()> {
        for (run, _) in &self.tenants {
            let message = CreateSessionRequest {
                session_id: run.session.to_string(),
                agent: run.agent.to_string(),
            };
            let request = self.as_person(&run.tenant, &run.subject, message)?;
            self.conversations.clone().create_session(request).await?;
        }
        Ok(())
    }

    /// Gives each tenant as many memories.
    async fn fill(&self, each: u32) -> Result<()> {
        for (number, (run, _)) in (0_u32..).zip(&self.tenants) {
            for memories in imports(number, each) {
                let message = ImportMemoriesRequest { memories };
                let request = self.as_person(&run.tenant, &run.subject, message)?;
                self.personal.clone().import_memories(request).await?;
            }
        }
        Ok(())
    }

    /// Waits until all memories of all tenants can be found by their meaning.
    async fn embedded(&self) -> Result<()> {
        for (run, _) in &self.tenants {
            until_embedded(async || {
                let request = self.as_person(&run.tenant, &run.subject, GetMemoryStatsRequest {})?;
                Ok(self
                    .personal
                    .clone()
                    .get_memory_stats(request)
                    .await?
                    .into_inner())
            })
            .await?;
        }
        Ok(())
    }

    /// Whether that question is answered, by the means by which it was to be.
    async fn recall(&self, tenant: u32, query: String, wanted: RecallMeans) -> bool {
        let message = RecallRequest {
            query,
            ..RecallRequest::default()
        };
        let Some(request) = self.as_run(tenant, message) else {
            return false;
        };
        match self.runs.clone().recall(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let nothing = u64::from(answer.hits.is_empty());
                self.nothing_found.fetch_add(nothing, Ordering::Relaxed);
                answer.means() == wanted
            }
            Err(_) => false,
        }
    }
}

/// Asks again and again, until nothing waits to be embedded.
async fn until_embedded(mut stats: impl AsyncFnMut() -> Result<GetMemoryStatsResponse>) -> Result<()> {
    let (mut before, mut since) = (u64::MAX, Instant::now());
    loop {
        let now = stats().await?;
        let waiting = now.waiting_for_embedding;
        if waiting == 0 && !now.embedding_model.is_empty() {
            return Ok(());
        }
        if waiting != before {
            (before, since) = (waiting, Instant::now());
        }
        if since.elapsed() > STALLED {
            let model = now.embedding_model;
            return Err(format!("{waiting} memories wait to be embedded, by the model \"{model}\"").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// So many memories of a tenant, as they are imported: sessions of messages.
fn imports(tenant: u32, count: u32) -> impl Iterator<Item = Vec<Memory>> {
    (0..count.div_ceil(BATCH)).map(move |nth| {
        let (first, session) = (nth * BATCH, SessionId::generate(&SystemClock).to_string());
        (first..count.min(first + BATCH))
            .map(|nth| memory(tenant, nth, &session))
            .collect()
    })
}

/// A message of a session, as it is brought along from elsewhere.
fn memory(tenant: u32, nth: u32, session: &str) -> Memory {
    let said = corpus::sentence(tenant, nth);
    Memory {
        memory_id: EventId::generate(&SystemClock).to_string(),
        kind: MemoryKind::Turn.into(),
        text: said.text,
        speaker: said.speaker.to_owned(),
        time: Some(SystemClock.now().into()),
        importance: 0.5,
        provenance: Some(Provenance {
            agent: "default".to_owned(),
            session_id: session.to_owned(),
            ordinal: nth % BATCH + 1,
            ..Provenance::default()
        }),
        ..Memory::default()
    }
}

/// So many in that time, a second.
fn per_second(count: u32, took: Duration) -> f64 {
    (f64::from(count) / took.as_secs_f64().max(f64::MIN_POSITIVE)).round()
}
