//! Memories of many tenants, and questions about them: what recalling and remembering are measured with.

mod corpus;
pub(super) mod recall;
pub(super) mod remember;
pub(super) mod soak;

use std::time::{Duration, Instant};

use harombe_identity::TokenMinter;
use harombe_proto::memory::v1::memory_service_client::MemoryServiceClient;
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::{
    GetMemoryStatsRequest, ImportMemoriesRequest, Memory, MemoryKind, Provenance, RecallMeans, RecallRequest,
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
/// The longest any measurement lasts, its preparation included.
const TOKEN_LIFE: Duration = Duration::from_secs(86_400);

/// The memory service, as gateway and runtime call it in the names of many tenants.
struct Callers {
    minter: TokenMinter,
    personal: PersonalMemoryServiceClient<GrpcChannel>,
    runs: MemoryServiceClient<GrpcChannel>,
    /// A run of each tenant's, and its token.
    tenants: Vec<(RunPrincipal, String)>,
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
            personal: PersonalMemoryServiceClient::new(
                world.channel(ServiceName::Memory, ServiceName::Gateway)?,
            ),
            runs: MemoryServiceClient::new(world.channel(ServiceName::Memory, ServiceName::Runtime)?),
            tenants: known,
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

    /// Gives each tenant as many memories, and waits until all of them can be found by their meaning.
    async fn fill(&self, each: u32) -> Result<Filled> {
        let began = Instant::now();
        for (number, (run, _)) in (0_u32..).zip(&self.tenants) {
            for first in (0..each).step_by(usize::try_from(BATCH)?) {
                let memories = (first..each.min(first + BATCH)).map(|nth| memory(number, nth));
                let message = ImportMemoriesRequest {
                    memories: memories.collect(),
                };
                let request = self.as_person(&run.tenant, &run.subject, message)?;
                self.personal.clone().import_memories(request).await?;
            }
        }
        let imported = began.elapsed();
        for (run, _) in &self.tenants {
            loop {
                let request = self.as_person(&run.tenant, &run.subject, GetMemoryStatsRequest {})?;
                let stats = self
                    .personal
                    .clone()
                    .get_memory_stats(request)
                    .await?
                    .into_inner();
                if stats.waiting_for_embedding == 0 {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(Filled {
            imported,
            embedded: began.elapsed(),
        })
    }

    /// Whether that question has an answer, found as it was asked to be found.
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
                answer.means() == wanted && !answer.hits.is_empty()
            }
            Err(_) => false,
        }
    }
}

struct Filled {
    /// Until the last import was acknowledged.
    imported: Duration,
    /// Until the last memory was embedded.
    embedded: Duration,
}

/// A message of a session, as it is brought along from elsewhere.
fn memory(tenant: u32, nth: u32) -> Memory {
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
            ordinal: nth % BATCH + 1,
            ..Provenance::default()
        }),
        ..Memory::default()
    }
}
