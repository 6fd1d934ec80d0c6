//! Puts the rooms together.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_grant::Verifier;
use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::sandbox::v1::sandbox_service_server::SandboxServiceServer;
use harombe_rpc::{Door, GrpcChannel, Metrics, Server, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName};

use crate::authority::Authority;
use crate::broker::{Broker, ISOLATION};
use crate::config::Config;
use crate::domain::admission::Admission;
use crate::domain::limits::Limits;
use crate::domain::transfers::Transfers;
use crate::error::Error;
use crate::grpc;
use crate::hitl::Hitl;
use crate::isolation::Isolation;
use crate::metrics::Numbers;
use crate::sessions::Sessions;
use crate::tasks::look;

/// What the service needs from outside.
pub struct Deps {
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    pub identity: ServiceIdentity,
    pub trail: Trail,
    /// Its own directory below the data directory.
    pub data: PathBuf,
    /// Calls hitl as this service.
    pub hitl: GrpcChannel,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the configuration is not valid: {}", .0.join("; "))]
    Config(Vec<String>),
    #[error("the workspaces in {path} cannot be opened")]
    Workspaces {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Server(#[from] harombe_rpc::BuildError),
}

/// The running service.
pub struct Service {
    server: Server,
    isolation: Isolation,
}

impl Service {
    /// What serves its calls.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What isolates executions, once that is proven; waits until it is known.
    ///
    /// # Errors
    /// ISOLATION_UNAVAILABLE; its causes, which callers over the wire are not told, say what is missing and how to get it.
    pub async fn isolation(&self) -> Result<&'static str, Error> {
        self.isolation.driver().await.map(|_| ISOLATION)
    }

    /// Takes no more calls, waits until `deadline` for those that run, then kills them.
    pub async fn shutdown(self, deadline: Duration) {
        let aborted = self.server.tasks().shutdown(deadline).await;
        if aborted > 0 {
            tracing::warn!(aborted, "executions were still running and were killed");
        }
    }
}

/// Opens the workspaces and starts serving. Whether anything can be run is found out in the background: until the
/// isolation is proven, and if it is not, only executions are refused.
///
/// # Errors
/// The configuration is not valid, or the data directory cannot be used.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let Deps {
        clock,
        metrics,
        identity,
        trail,
        data,
        hitl,
    } = deps;
    let opening = tokio::task::spawn_blocking({
        let (data, clock) = (data.clone(), Arc::clone(&clock));
        let most_of_one = config.workspaces_per_subject;
        move || Sessions::open(&data, most_of_one, clock)
    });
    let failed = |source| BuildError::Workspaces {
        path: data.clone(),
        source,
    };
    let sessions = opening
        .await
        .map_err(io::Error::other)
        .and_then(|opened| opened)
        .map_err(failed)?;
    let tasks = TaskSet::new();
    let roots = identity.roots().clone();
    let isolation = Isolation::start(&config, &data.join("driver"), &tasks);
    let (sessions, numbers) = (Arc::new(sessions), Numbers::new(&metrics));
    tasks.spawn(look(Arc::clone(&sessions), numbers.clone(), tasks.token()));
    let broker = Broker {
        authority: Authority::new(
            Verifier::new(roots.clone()),
            Arc::new(Hitl(hitl)),
            Arc::clone(&clock),
        ),
        sessions,
        isolation: isolation.clone(),
        admission: Admission::new(config.sandboxes, config.queue, config.patience.into()),
        transfers: Transfers::new(config.transfers, config.transfers_per_subject),
        trail: trail.clone(),
        defaults: Limits::from(&config.limits),
        maximum: Limits::from(&config.maximum),
        numbers,
    };
    let deps = harombe_rpc::Deps {
        door: Door::Internal(Arc::new(TokenVerifier::new(roots))),
        clock,
        refusals: Arc::new(trail),
        metrics,
    };
    let service = grpc::Service::new(Arc::new(broker), tasks.clone());
    let server = Server::builder(ServiceName::SandboxBroker, deps)
        .tasks(tasks)
        .service(SandboxServiceServer::new(service))
        .health()
        .build()?;
    Ok(Service { server, isolation })
}
