//! Puts the rooms together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_grant::{Signer, Verifier};
use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::hitl::v1::approval_service_server::ApprovalServiceServer;
use harombe_proto::hitl::v1::authorization_service_server::AuthorizationServiceServer;
use harombe_proto::hitl::v1::erasure_service_server::ErasureServiceServer;
use harombe_rpc::{Door, Metrics, Refusals, Server, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::domain::risk::{DEFAULT_RULES, Faults, HostSet, RuleSet};
use crate::domain::{Authority, Parts};
use crate::grpc::{Approvals, Authorizations, Erasures};
use crate::metrics::Numbers;
use crate::store::{self, Opened, Store};
use crate::tasks;

/// Redemptions that may wait to be marked as recorded; more are marked after a restart.
const MARKS: usize = 4096;

/// What cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{}", .0.join("; "))]
    Config(Vec<String>),
    #[error("the risk rules in {} cannot be read; correct hitl.rules or the file's permissions", path.display())]
    ReadRules {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Rules(#[from] Faults),
    #[error(transparent)]
    Store(#[from] harombe_sql::Error),
    #[error("the grpc server cannot be built")]
    Server(#[source] harombe_rpc::BuildError),
}

/// What the service needs from outside.
pub struct Deps {
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    /// hitl's own: it signs grants.
    pub identity: ServiceIdentity,
    pub trail: Trail,
    /// hitl's own folder; `hitl.db` is kept there, unless the store is elsewhere.
    pub data: PathBuf,
}

/// The running service.
pub struct Service {
    server: Server,
    store: Arc<dyn Store>,
    policy_version: String,
}

/// Opens the store, compiles the rules and starts the background tasks. Must be called inside a tokio runtime.
///
/// # Errors
/// The configuration, a rule file or the store is at fault; each error says what to do.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let rules = load_rules(&config)?;
    let policy_version = rules.version().to_owned();
    tracing::info!(
        version = policy_version,
        rules = rules.rules().len(),
        "risk rules in force"
    );
    let Opened { store, peers } = store::open(&config.store, &deps.data).await?;
    let (marks, recorded) = mpsc::channel(MARKS);
    let numbers = Numbers::new(&deps.metrics);
    let roots = deps.identity.roots().clone();
    let authority = Authority::new(Parts {
        store: Arc::clone(&store),
        peers: peers.clone(),
        rules,
        limits: (&config.limits).into(),
        pending: (&config.limits).into(),
        retention: config.retention.as_duration(),
        signer: Signer::new(deps.identity),
        verifier: Verifier::new(roots.clone()),
        trail: deps.trail.clone(),
        clock: Arc::clone(&deps.clock),
        numbers: numbers.clone(),
        marks,
    });
    let tasks = TaskSet::new();
    tasks.spawn(tasks::sweep(authority.clone(), numbers, tasks.token()));
    tasks.spawn(tasks::mark(authority.clone(), recorded, tasks.token()));
    if let Some(peers) = peers {
        tasks.spawn(tasks::follow(authority.clone(), peers, tasks.token()));
    }
    let refusals: Arc<dyn Refusals> = Arc::new(deps.trail);
    let rpc = harombe_rpc::Deps {
        door: Door::Internal(Arc::new(TokenVerifier::new(roots))),
        clock: deps.clock,
        refusals: Arc::clone(&refusals),
        metrics: deps.metrics,
    };
    let server = Server::builder(ServiceName::Hitl, rpc)
        .service(AuthorizationServiceServer::new(Authorizations::new(
            authority.clone(),
            refusals,
            tasks.clone(),
        )))
        .service(ApprovalServiceServer::new(Approvals::new(
            authority.clone(),
            tasks.clone(),
        )))
        .service(ErasureServiceServer::new(Erasures(authority)))
        .health()
        .tasks(tasks)
        .build()
        .map_err(BuildError::Server)?;
    Ok(Service {
        server,
        store,
        policy_version,
    })
}

impl Service {
    /// The server, for channels in process and listeners.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Of the risk rules in force.
    #[must_use]
    pub fn policy_version(&self) -> &str {
        &self.policy_version
    }

    /// Lets what is under way finish, for at most `deadline`, then closes the store.
    pub async fn shutdown(self, deadline: Duration) {
        self.server.tasks().shutdown(deadline).await;
        self.store.close().await;
    }
}

fn load_rules(config: &Config) -> Result<RuleSet, BuildError> {
    let mut own = Vec::new();
    for path in &config.rules {
        let text = std::fs::read_to_string(path).map_err(|source| BuildError::ReadRules {
            path: path.clone(),
            source,
        })?;
        own.push((path.display().to_string(), text));
    }
    let mut sources = vec![("default.toml", DEFAULT_RULES)];
    sources.extend(own.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let trusted = HostSet::new(&config.trusted_hosts).unwrap_or_default();
    Ok(RuleSet::compile(&sources, trusted)?)
}
