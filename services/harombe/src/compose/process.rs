//! One service in a process of its own, which finds the others by configuration and talks to them over mutual TLS.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe_egress_proxy::Edges;
use harombe_rpc::TaskSet;
use harombe_types::{Clock, ServiceName, SystemClock};
use tokio::net::TcpListener;

use super::builder::Builder;
use super::part::Part;
use super::peers::Peers;
use super::pki::Pki;
use super::{Config, DRAIN, DataDir, Direct, StartError, Wire, door};

/// What one service is started from.
pub struct Process {
    pub service: ServiceName,
    /// It works in its own folder of this directory.
    pub data: PathBuf,
    pub config: Config,
    pub wire: Arc<dyn Wire>,
    /// The world outside; the machine's own when there is none.
    pub edges: Option<Edges>,
}

impl Process {
    /// The service, with nothing between it and the others.
    #[must_use]
    pub fn new(service: ServiceName, data: &Path, config: Config) -> Self {
        Self {
            service,
            data: data.to_owned(),
            config,
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
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = self.config.joined();
        let pki = config.network.pki.as_deref().ok_or(StartError::NoPki)?;
        let pki = Pki::of_service(pki, service, &*clock)?;
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
        let listening = TaskSet::new();
        let address = if service == ServiceName::Gateway {
            None
        } else {
            Some(bind(&config, service).await?)
        };
        let part = builder.build(service, &config).await?;
        let (server, identity) = (part.server().clone(), builder.identity(service)?);
        let stop = listening.token();
        let address = match address {
            Some((listener, address)) => {
                listening.spawn(async move { server.serve_tls(listener, &identity, stop).await });
                address.to_string()
            }
            None => {
                door::listen_unix(&builder.data, &server)?;
                builder.data.socket().display().to_string()
            }
        };
        let Builder { data, trails, .. } = builder;
        Ok(Serving {
            service,
            address,
            part,
            listening,
            trails,
            _data: data,
        })
    }
}

async fn bind(config: &Config, service: ServiceName) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = config
        .network
        .listen
        .of(service)
        .ok_or(StartError::Unplaced(service))?;
    let fault = |source| StartError::ListenAt {
        address: address.to_owned(),
        key: format!("network.listen.{service}"),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((listener, address))
}

/// A running service. It ends in order with [`Serving::shutdown`].
pub struct Serving {
    service: ServiceName,
    address: String,
    part: Part,
    /// The listeners and their connections.
    listening: TaskSet,
    trails: TaskSet,
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

    /// Takes no more calls, lets what was begun finish, and closes the store.
    pub async fn shutdown(self) {
        // Streams and loops end, so that connections can.
        self.part.server().tasks().token().cancel();
        self.listening.shutdown(DRAIN).await;
        self.part.shutdown(DRAIN).await;
        self.trails.shutdown(DRAIN).await;
    }
}
