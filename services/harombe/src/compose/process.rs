//! One service in a process of its own, which finds the others by configuration and talks to them over mutual TLS.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harombe_egress_proxy::Edges;
use harombe_rpc::TaskSet;
use harombe_types::{Clock, ServiceName, SystemClock};

use super::builder::Builder;
use super::entrance::{Entrance, Ops};
use super::part::Part;
use super::peers::Peers;
use super::pki::Pki;
use super::{Config, DRAIN, DataDir, Direct, StartError, Wire};

/// From the moment when a service says that it wants no more calls until it tells its connections to end: what turns elsewhere by
/// then loses nothing.
const NOTICE: Duration = Duration::from_millis(200);

/// What one service is started from.
pub struct Process {
    pub service: ServiceName,
    /// It works in its own folder of this directory.
    pub data: PathBuf,
    pub config: Config,
    /// What the service takes for the time.
    pub clock: Arc<dyn Clock>,
    pub wire: Arc<dyn Wire>,
    /// The world outside; the machine's own when there is none.
    pub edges: Option<Edges>,
}

impl Process {
    /// The service by the machine's clock, with nothing between it and the others.
    #[must_use]
    pub fn new(service: ServiceName, data: &Path, config: Config) -> Self {
        Self {
            service,
            data: data.to_owned(),
            config,
            clock: Arc::new(SystemClock),
            wire: Arc::new(Direct),
            edges: None,
        }
    }

    /// Opens the service's store and listens. Waits for no other service.
    ///
    /// # Errors
    /// The first thing that kept it from starting.
    pub async fn start(self) -> Result<Serving, StartError> {
        let service = self.service;
        let clock = self.clock;
        let config = self.config.joined();
        let pki = match (&config.network.pki, &config.secrets.vault) {
            (Some(dir), _) => Pki::of_service(dir, service, &*clock)?,
            (None, Some(vault)) => Pki::in_vault(vault, service, &*clock).await?,
            (None, None) => return Err(StartError::NoPki),
        };
        let mut builder = Builder {
            metrics: harombe_rpc::Metrics::new(),
            data: DataDir::open_for(&self.data, service)?,
            clock,
            pki,
            peers: Peers::at(&config.network.peers),
            wire: self.wire,
            edges: self.edges,
            trails: TaskSet::new(),
        };
        // Taken before anything is opened: whoever looks meanwhile hears that the service is not ready.
        let entrance = Entrance::open(&config, service).await?;
        let ops = Ops::open(&config.network.ops_of(entrance.port())).await?;
        let watched = TaskSet::new();
        let (server, ops) = ops.serve(builder.metrics.clone(), &watched);
        let part = builder.build(service, &config).await?;
        let listening = TaskSet::new();
        let address = entrance.serve(&part, builder.identity(service)?, &listening)?;
        // Ready: its own store is open, and calls are taken.
        let _ = server.set(part.server().clone());
        let Builder { data, trails, .. } = builder;
        Ok(Serving {
            service,
            address,
            ops,
            part,
            listening,
            trails,
            watched,
            _data: data,
        })
    }
}

/// A running service. It ends in order with [`Serving::shutdown`].
pub struct Serving {
    service: ServiceName,
    address: String,
    ops: SocketAddr,
    part: Part,
    /// The listener and its connections.
    listening: TaskSet,
    trails: TaskSet,
    /// What answers about health and metrics.
    watched: TaskSet,
    /// Locked as long as the service runs.
    _data: DataDir,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("service", &self.service)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it answers about its health and metrics.
    #[must_use]
    pub fn ops(&self) -> SocketAddr {
        self.ops
    }

    /// Takes no more calls, lets what was begun finish, and closes the store.
    pub async fn shutdown(self) {
        let server = self.part.server();
        // Whoever balances calls turns elsewhere, as does whoever looks at `/readyz`; what still comes is served.
        server.set_serving(false);
        tokio::time::sleep(NOTICE).await;
        // Streams and loops end, so that connections can.
        server.tasks().token().cancel();
        self.listening.shutdown(DRAIN).await;
        self.part.shutdown(DRAIN).await;
        self.trails.shutdown(DRAIN).await;
        self.watched.shutdown(DRAIN).await;
    }
}
