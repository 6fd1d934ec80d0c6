//! The ports of a service that is a process of its own: taken first, and served once the service is built.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use harombe_identity::ServiceIdentity;
use harombe_rpc::{Metrics, Server, TaskSet, serve_ops};
use harombe_types::ServiceName;
use tokio::net::TcpListener;

use super::door::PublicPort;
use super::part::Part;
use super::{Config, StartError, network};

/// Where calls come in.
pub(super) enum Entrance {
    /// From other services, over mutual TLS.
    Services(TcpListener, SocketAddr),
    /// From clients.
    Clients(PublicPort),
}

impl Entrance {
    /// Takes the service's address.
    pub(super) async fn open(config: &Config, service: ServiceName) -> Result<Self, StartError> {
        if service == ServiceName::Gateway {
            let address = config.gateway.public.listen.unwrap_or_else(network::public);
            return Ok(Self::Clients(PublicPort::open(&config.gateway, address).await?));
        }
        let address = config.network.listen.of(service);
        let address = address.ok_or(StartError::Unplaced(service))?;
        let (listener, address) = bind(address, &format!("network.listen.{service}")).await?;
        Ok(Self::Services(listener, address))
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Services(_, address) => address.port(),
            Self::Clients(port) => port.address().port(),
        }
    }

    /// Takes calls for the service, in `tasks`; answers where.
    pub(super) fn serve(
        self,
        part: &Part,
        identity: ServiceIdentity,
        tasks: &TaskSet,
    ) -> Result<String, StartError> {
        match (self, part) {
            (Self::Clients(port), Part::Gateway(gateway)) => Ok(port.serve(gateway, tasks)),
            (Self::Clients(_), _) => Err(StartError::Unplaced(ServiceName::Gateway)),
            (Self::Services(listener, address), part) => {
                let (server, stop) = (part.server().clone(), tasks.token());
                tasks.spawn(async move {
                    if let Err(error) = server.serve_tls(listener, &identity, stop).await {
                        // The same identity made channels before.
                        tracing::error!(%error, "nothing can be served");
                    }
                });
                Ok(address.to_string())
            }
        }
    }
}

/// Where a service answers about its health and metrics.
pub(super) struct Ops(TcpListener, SocketAddr);

impl Ops {
    pub(super) async fn open(address: &str) -> Result<Self, StartError> {
        let (listener, address) =
            bind(address, "network.ops, or the service's port which is 100 lower,").await?;
        Ok(Self(listener, address))
    }

    /// Answers in `tasks`: not ready before the server is set, and while it does not want calls. Answers where.
    pub(super) fn serve(self, metrics: Metrics, tasks: &TaskSet) -> (Arc<OnceLock<Server>>, SocketAddr) {
        let server = Arc::new(OnceLock::<Server>::new());
        let ready = {
            let server = Arc::clone(&server);
            move || server.get().is_some_and(Server::is_serving)
        };
        tasks.spawn(serve_ops(self.0, metrics, ready, tasks.token()));
        (server, self.1)
    }
}

async fn bind(address: &str, key: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let fault = |source| StartError::ListenAt {
        address: address.to_owned(),
        key: key.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}
