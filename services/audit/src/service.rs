//! Puts the rooms together: the only file that knows all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::audit::v1::audit_service_server::AuditServiceServer;
use harombe_proto::audit::v1::erasure_service_server::ErasureServiceServer;
use harombe_rpc::{Door, LogRefusals, Metrics, Server};
use harombe_sql::fair::Bounds;
use harombe_types::{Clock, ServiceName};

use crate::config::Config;
use crate::domain::Limits;
use crate::grpc::{ErasureHandler, Handler};
use crate::log::{Erasures, Log};
use crate::metrics::Numbers;
use crate::{Error, tasks};

/// Entries in one commit, by weight; a single batch may be heavier.
const GROUP: usize = 1024;
/// How long an append waits for a place in the queue before it is refused.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// What the service needs from outside.
pub struct Deps {
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    pub identity: ServiceIdentity,
    /// The service's own directory, made when absent.
    pub data: PathBuf,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the audit configuration is not usable: {}", .0.join("; "))]
    Config(Vec<String>),
    #[error("the audit log cannot be opened")]
    Log(#[from] Error),
    #[error("the audit server cannot be built")]
    Server(#[from] harombe_rpc::BuildError),
}

/// The running service.
pub struct Service {
    server: Server,
    log: Arc<Log>,
}

/// Opens the log and starts serving it.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let queue = harombe_sql::Limits {
        group: GROUP,
        queue: Bounds {
            per_key: config.queue_per_caller,
            total: config.queue_total,
            // The rest is told to come again: whoever waits takes up a place of its service's calls.
            callers: config.queue_per_caller,
        },
        max_wait: MAX_WAIT,
    };
    let limits = Limits {
        details: config.max_details_bytes(),
    };
    let numbers = Numbers::new(&deps.metrics);
    let log = Arc::new(Log::open(config.place(&deps.data), queue, limits, &numbers).await?);
    let erasures = Erasures::new(Arc::clone(&log), Arc::clone(&deps.clock));
    let door = Door::Internal(Arc::new(TokenVerifier::new(deps.identity.roots().clone())));
    // A refusal of the log's own door cannot be recorded in the log by somebody who was refused there.
    let server_deps = harombe_rpc::Deps {
        door,
        clock: deps.clock,
        refusals: Arc::new(LogRefusals),
        metrics: deps.metrics,
    };
    let server = Server::builder(ServiceName::Audit, server_deps)
        .service(AuditServiceServer::new(Handler::new(Arc::clone(&log))))
        .service(ErasureServiceServer::new(ErasureHandler::new(erasures)))
        .health()
        .build()?;
    let stop = server.tasks().token();
    server.tasks().spawn(tasks::index(
        Arc::clone(&log),
        config.index_every.into(),
        numbers.clone(),
        stop.clone(),
    ));
    // Before the first call comes: an instance that does not write must not be asked to.
    server.set_serving(log.store().term().is_some());
    let ready = tasks::readiness(Arc::clone(&log), server.clone(), numbers.clone(), stop.clone());
    server.tasks().spawn(ready);
    server.tasks().spawn(tasks::publish(
        Arc::clone(&log),
        config.publish_every.into(),
        numbers,
        stop,
    ));
    Ok(Service { server, log })
}

impl Service {
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The public key of the log, as a C2SP vkey.
    pub fn verifier_key(&self) -> &str {
        self.log.store().verifier_key()
    }

    /// Ends the tasks, then writes what waits and closes the files. What is not done by `deadline` is aborted.
    pub async fn shutdown(self, deadline: Duration) {
        let aborted = self.server.tasks().shutdown(deadline).await;
        if aborted > 0 {
            tracing::warn!(aborted, "tasks of the audit service did not end in time");
        }
        self.log.close().await;
    }
}
