//! Wires the rooms together.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harombe_grant::Verifier;
use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::egress::v1::egress_service_server::EgressServiceServer;
use harombe_rpc::{Door, GrpcChannel, Metrics, Server, TaskSet};
use harombe_secrets::Secrets;
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::domain::decision::Decider;
use crate::domain::policy::{DEFAULT_POLICY, Policy, PolicyFaults};
use crate::domain::resolver::Resolver;
use crate::fetch::{Fetcher, Limits};
use crate::grpc::Handler;
use crate::metrics::Numbers;
use crate::net::cache::CachingResolver;
use crate::net::dialer::{Dialer, TcpDialer};
use crate::net::roots::Roots;
use crate::net::system_resolver::SystemResolver;
use crate::tunnel::{Admission, Tunnels};
use crate::upstream::Upstream;

/// What a tunnel may take beyond its exchange: the caller's own reading and writing.
const ALLOWANCE: Duration = Duration::from_secs(20);

/// What cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{}", .0.join("; "))]
    Config(Vec<String>),
    #[error("the grpc server cannot be built")]
    Server(#[source] harombe_rpc::BuildError),
}

/// The edges to the world outside. Tests give their own; nothing that configuration can say replaces them.
pub struct Edges {
    pub resolver: Arc<dyn Resolver>,
    pub dialer: Arc<dyn Dialer>,
    pub roots: Roots,
}

impl Edges {
    /// The machine's DNS servers, network and certificate authorities, each read at its first use.
    pub fn system() -> Self {
        Self {
            resolver: Arc::new(SystemResolver::default()),
            dialer: Arc::new(TcpDialer),
            roots: Roots::System,
        }
    }
}

/// What the service needs from outside.
pub struct Deps {
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    pub identity: ServiceIdentity,
    pub trail: Trail,
    pub hitl: GrpcChannel,
    pub edges: Edges,
    /// Where the credentials of upstreams are kept.
    pub secrets: Arc<dyn Secrets>,
}

/// The running service.
pub struct Service {
    server: Server,
    policy_version: String,
}

/// Builds the service. A policy that is missing or wrong does not keep it from starting: it denies everything
/// and says so.
///
/// # Errors
/// The configuration is wrong, or the server cannot be built.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let policy = load_policy(config.policy.as_deref());
    announce(&policy);
    let upstreams = upstreams(&config, &deps.edges.roots)?;
    let total = config.exchange_time.as_duration();
    let resolver = CachingResolver::new(deps.edges.resolver, config.cached_names, deps.clock.clone());
    let decider = Decider::new(policy, Arc::new(resolver));
    let policy_version = decider.policy_version().to_owned();
    let roots = deps.identity.roots().clone();
    let tunnels = Tunnels {
        admission: Admission {
            decider,
            verifier: Verifier::new(roots.clone()),
            hitl: deps.hitl,
            trail: deps.trail.clone(),
            clock: deps.clock.clone(),
            upstreams,
            secrets: deps.secrets,
            numbers: Numbers::new(&deps.metrics),
        },
        fetcher: Fetcher::new(
            deps.edges.dialer,
            deps.edges.roots,
            Limits {
                total,
                ..Limits::default()
            },
        ),
        open_for: total + ALLOWANCE,
        allowance: ALLOWANCE,
    };
    let tasks = TaskSet::new();
    let handler = Handler {
        tunnels: Arc::new(tunnels),
        places: Arc::new(Semaphore::new(config.max_tunnels)),
        own_places: Arc::new(Semaphore::new(config.max_own_tunnels)),
        tasks: tasks.clone(),
    };
    let rpc = harombe_rpc::Deps {
        door: Door::Internal(Arc::new(TokenVerifier::new(roots))),
        clock: deps.clock,
        refusals: Arc::new(deps.trail),
        metrics: deps.metrics,
    };
    let server = Server::builder(ServiceName::EgressProxy, rpc)
        .service(EgressServiceServer::new(handler))
        .health()
        .tasks(tasks)
        .build()
        .map_err(BuildError::Server)?;
    Ok(Service {
        server,
        policy_version,
    })
}

fn announce(policy: &Result<Policy, PolicyFaults>) {
    match policy {
        Ok(policy) => tracing::info!(
            version = policy.version(),
            rules = policy.rules(),
            "egress policy in force"
        ),
        Err(faults) => tracing::error!(%faults, "the egress policy is refused; nothing may leave"),
    }
}

fn upstreams(config: &Config, roots: &Roots) -> Result<BTreeMap<String, Arc<Upstream>>, BuildError> {
    let upstream = |(name, upstream): (&String, &crate::config::Upstream)| {
        let upstream =
            Upstream::new(name, upstream, roots).map_err(|fault| BuildError::Config(vec![fault]))?;
        Ok((name.clone(), Arc::new(upstream)))
    };
    config.upstreams.iter().map(upstream).collect()
}

/// The policy of a file, or the one that allows nothing.
///
/// # Errors
/// Every fault; whoever asks to decide by it then denies everything.
pub fn load_policy(path: Option<&Path>) -> Result<Policy, PolicyFaults> {
    let Some(path) = path else {
        return Policy::parse(DEFAULT_POLICY);
    };
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| PolicyFaults(vec![format!("{} cannot be read: {error}", path.display())]))?;
    Policy::parse(&text)
}

impl Service {
    /// To be served, or to be called in process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Of the policy in force; `none` when everything is denied because there is none.
    pub fn policy_version(&self) -> &str {
        &self.policy_version
    }

    /// Lets open tunnels end until `deadline`, then ends them.
    pub async fn shutdown(self, deadline: Duration) {
        self.server.tasks().shutdown(deadline).await;
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("policy_version", &self.policy_version)
            .finish_non_exhaustive()
    }
}
