//! Puts the rooms together.

mod consolidation;
mod recall;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::memory::v1::conversation_service_server::ConversationServiceServer;
use harombe_proto::memory::v1::erasure_service_server::ErasureServiceServer;
use harombe_proto::memory::v1::memory_service_server::MemoryServiceServer;
use harombe_proto::memory::v1::personal_memory_service_server::PersonalMemoryServiceServer;
use harombe_proto::memory::v1::run_journal_service_server::RunJournalServiceServer;
use harombe_rpc::{Door, GrpcChannel, Metrics, Server, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName, Timestamp};
use tokio::sync::Notify;

use self::consolidation::Consolidation;
use self::recall::Recall;
use crate::Config;
use crate::domain::recall::{Meanings, Recaller};
use crate::domain::{Contexts, Conversations, Erasures, Follow, Journal, Memories, MemoriesDeps, Validity};
use crate::grpc::{ConversationGrpc, ErasureGrpc, JournalGrpc, PersonalGrpc, RecallGrpc};
use crate::metrics::{MemoryNumbers, Numbers};
use crate::store::{self, MemoryStore, Opened, Outbox, Peers, Store};
use crate::tasks::{Collect, Erase, Overdue, Peering, Tidy};

/// What the service needs from outside.
#[derive(Clone)]
pub struct Deps {
    /// Leases and deadlines are by this clock.
    pub clock: Arc<dyn Clock>,
    /// What it does, in numbers.
    pub metrics: Metrics,
    /// This service's own identity; principal tokens are verified against its roots.
    pub identity: ServiceIdentity,
    /// What is saved and forgotten is on record before anybody is told; refused calls are too.
    pub trail: Trail,
    /// The service's own folder under the data directory.
    pub data: PathBuf,
    /// Where a local embedding model is looked for when none is configured.
    pub models: PathBuf,
    /// The way to embedding models elsewhere.
    pub egress_proxy: GrpcChannel,
}

/// Why the service could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// All faults of the configuration.
    #[error("the configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    #[error(transparent)]
    Store(#[from] harombe_sql::Error),
    #[error("the server cannot be built")]
    Server(#[from] harombe_rpc::BuildError),
}

/// The running service.
pub struct Service {
    server: Server,
    store: Arc<dyn Store>,
    vectors: recall::Opened,
}

/// Opens the store, starts the background tasks and mounts the RPCs.
///
/// # Errors
/// A faulty configuration, or a store that cannot be opened.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let lease = config.lease.as_duration();
    let Opened {
        store,
        memories,
        generations,
        consolidations,
        peers,
    } = store::open(&config.store, &deps.data, Outbox::Kept).await?;
    let recall = Recall::new(&config, &deps, &memories, generations);
    let consolidation = Consolidation::new(&config, &deps, &memories, consolidations);
    let verifier = TokenVerifier::new(deps.identity.roots().clone());
    let tokens: Arc<dyn Validity> = Arc::new(RunTokens(verifier.clone()));
    let follow = Follow::with(peers.clone());
    let numbers = Numbers::new(&deps.metrics);
    let contexts = Contexts::new(Arc::clone(&store), Arc::clone(&memories), recall.recaller.clone());
    let memories = keeper(&config, &deps, memories, recall.meanings.clone());
    let ended = Arc::new(Notify::new());
    let conversations = Conversations::new(
        Arc::clone(&store),
        Arc::clone(&deps.clock),
        follow.clone(),
        (lease, (&config.limits).into()),
        numbers.clone(),
        (memories.clone(), Arc::clone(&ended)),
    );
    let journal = Journal::new(
        Arc::clone(&store),
        Arc::clone(&deps.clock),
        tokens,
        follow.clone(),
        lease,
        numbers.clone(),
    );
    let erasures = Erasures::new(
        Arc::clone(&store),
        journal.clone(),
        memories.clone(),
        recall.recaller.clone(),
        numbers,
    );
    let server = Server::builder(ServiceName::Memory, door(&deps, verifier))
        .service(ConversationServiceServer::new(ConversationGrpc(conversations)))
        .service(RunJournalServiceServer::new(JournalGrpc(journal.clone())))
        .service(MemoryServiceServer::new(for_runs(
            &memories,
            (&recall, contexts),
            &consolidation,
        )))
        .service(PersonalMemoryServiceServer::new(PersonalGrpc {
            memories: memories.clone(),
            recaller: recall.recaller.clone(),
            meanings: recall.meanings.clone(),
            clock: deps.clock,
        }))
        .service(ErasureServiceServer::new(ErasureGrpc(erasures)))
        .health()
        .build()?;
    let tasks = server.tasks();
    tasks.spawn(recall.index.run(tasks.token()));
    if let Some(consolidate) = consolidation.task(&memories) {
        tasks.spawn(consolidate.run(tasks.token()));
    }
    keep_up(tasks, &config, journal, (memories, ended));
    if let Some(peers) = peers {
        beside(tasks, &peers, follow, recall.recaller);
    }
    Ok(Service {
        server,
        store,
        vectors: recall.vectors,
    })
}

/// What is due is done: runs are ended, turns become memories, memories are erased.
fn keep_up(tasks: &TaskSet, config: &Config, journal: Journal, (memories, ended): (Memories, Arc<Notify>)) {
    let every = config.lease.as_duration();
    tasks.spawn(Overdue { journal, every }.run(tasks.token()));
    if config.remember_turns {
        let memories = memories.clone();
        tasks.spawn(Collect { memories, ended }.run(tasks.token()));
    }
    tasks.spawn(Erase { memories }.run(tasks.token()));
}

/// What other processes do is followed.
fn beside(tasks: &TaskSet, peers: &Arc<dyn Peers>, follow: Follow, recaller: Recaller) {
    let tidy = Tidy {
        recaller,
        peers: Arc::clone(peers),
    };
    tasks.spawn(tidy.run(tasks.token()));
    let peers = Arc::clone(peers);
    tasks.spawn(Peering { follow, peers }.run(tasks.token()));
}

fn keeper(config: &Config, deps: &Deps, store: Arc<dyn MemoryStore>, meanings: Meanings) -> Memories {
    Memories::new(MemoriesDeps {
        store,
        trail: deps.trail.clone(),
        clock: Arc::clone(&deps.clock),
        most: (&config.limits).into(),
        erase_after: config.erase_after.as_duration(),
        numbers: MemoryNumbers::new(&deps.metrics),
        meanings,
    })
}

fn for_runs(
    memories: &Memories,
    (recall, contexts): (&Recall, Contexts),
    consolidation: &Consolidation,
) -> RecallGrpc {
    RecallGrpc {
        memories: memories.clone(),
        recaller: recall.recaller.clone(),
        contexts,
        summaries: consolidation.summaries(memories),
    }
}

fn door(deps: &Deps, verifier: TokenVerifier) -> harombe_rpc::Deps {
    harombe_rpc::Deps {
        door: Door::Internal(Arc::new(verifier)),
        clock: Arc::clone(&deps.clock),
        refusals: Arc::new(deps.trail.clone()),
        metrics: deps.metrics.clone(),
    }
}

/// Run tokens as the gateway signs them.
struct RunTokens(TokenVerifier);

impl Validity for RunTokens {
    fn is_valid(&self, token: &str, now: Timestamp) -> bool {
        self.0.verify(token, ServiceName::Memory, now).is_ok()
    }
}

impl Service {
    /// For [`harombe_rpc::GrpcChannel::local`] and for listeners.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Lets handlers and tasks finish, at most until the deadline, then writes what waits and closes the file.
    pub async fn shutdown(self, deadline: Duration) {
        self.server.tasks().shutdown(deadline).await;
        let vectors = self.vectors.lock().take();
        if let Some(vectors) = vectors {
            vectors.close().await;
        }
        self.store.close().await;
    }
}
