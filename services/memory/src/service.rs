//! Puts the rooms together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::memory::v1::conversation_service_server::ConversationServiceServer;
use harombe_proto::memory::v1::run_journal_service_server::RunJournalServiceServer;
use harombe_rpc::{Door, Metrics, Refusals, Server};
use harombe_types::{Clock, ServiceName, Timestamp};

use crate::Config;
use crate::domain::{Conversations, Follow, Journal, Validity};
use crate::grpc::{ConversationGrpc, JournalGrpc};
use crate::metrics::Numbers;
use crate::store::{self, Opened, Outbox, Store};
use crate::tasks::{Overdue, Peering};

/// What the service needs from outside.
#[derive(Clone)]
pub struct Deps {
    /// Leases and deadlines are by this clock.
    pub clock: Arc<dyn Clock>,
    /// What it does, in numbers.
    pub metrics: Metrics,
    /// This service's own identity; principal tokens are verified against its roots.
    pub identity: ServiceIdentity,
    /// Hears of refused calls.
    pub refusals: Arc<dyn Refusals>,
    /// The service's own folder under the data directory.
    pub data: PathBuf,
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
        memories: _,
        peers,
    } = store::open(&config.store, &deps.data, Outbox::Unused).await?;
    let verifier = TokenVerifier::new(deps.identity.roots().clone());
    let tokens: Arc<dyn Validity> = Arc::new(RunTokens(verifier.clone()));
    let follow = Follow::with(peers.clone());
    let numbers = Numbers::new(&deps.metrics);
    let conversations = Conversations::new(
        Arc::clone(&store),
        Arc::clone(&deps.clock),
        follow.clone(),
        lease,
        (&config.limits).into(),
        numbers.clone(),
    );
    let journal = Journal::new(
        Arc::clone(&store),
        Arc::clone(&deps.clock),
        tokens,
        follow.clone(),
        lease,
        numbers,
    );
    let door = harombe_rpc::Deps {
        door: Door::Internal(Arc::new(verifier)),
        clock: deps.clock,
        refusals: deps.refusals,
        metrics: deps.metrics,
    };
    let server = Server::builder(ServiceName::Memory, door)
        .service(ConversationServiceServer::new(ConversationGrpc(conversations)))
        .service(RunJournalServiceServer::new(JournalGrpc(journal.clone())))
        .health()
        .build()?;
    let tasks = server.tasks();
    tasks.spawn(
        Overdue {
            journal,
            every: lease,
        }
        .run(tasks.token()),
    );
    if let Some(peers) = peers {
        tasks.spawn(Peering { follow, peers }.run(tasks.token()));
    }
    Ok(Service { server, store })
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
        self.store.close().await;
    }
}
