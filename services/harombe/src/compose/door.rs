//! Where clients come in.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use harombe_rpc::{PublicLimits, Server, TaskSet, public_tls, serve_public};
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};

use super::{DataDir, StartError};

/// Listens on the socket of the data directory, for its owner alone. Whoever holds the directory's lock may replace a socket
/// that a dead process left behind.
pub(super) fn listen_unix(data: &DataDir, gateway: &Server, tasks: &TaskSet) -> Result<(), StartError> {
    let path = data.socket();
    let listener = bind(&path).map_err(|source| StartError::Listen {
        path: path.clone(),
        source,
    })?;
    let (server, stop) = (gateway.clone(), tasks.token());
    tasks.spawn(async move {
        server.serve_unix(listener, stop).await;
    });
    Ok(())
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // The directory is 0700 already; peer credentials are checked at every call.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The port for clients on the network, taken and not yet served.
pub(super) struct PublicPort {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    address: SocketAddr,
    limits: PublicLimits,
}

impl PublicPort {
    /// Takes `address`; reads the certificate, if one is configured.
    pub(super) async fn open(
        config: &harombe_gateway::Config,
        address: SocketAddr,
    ) -> Result<Self, StartError> {
        let tls = match (&config.public.tls_cert, &config.public.tls_key) {
            (Some(chain), Some(key)) => {
                let chain = read("the certificate", chain)?;
                Some(public_tls(&chain, &read("the key", key)?).map_err(StartError::PublicTls)?)
            }
            _ => None,
        };
        let fault = |source| StartError::ListenAt {
            address: address.to_string(),
            key: "gateway.public.listen".to_owned(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self {
            listener,
            tls,
            address,
            limits: PublicLimits {
                unread: config.public.unread.as_duration(),
                ..PublicLimits::default()
            },
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves whoever comes, in `tasks`; answers where.
    pub(super) fn serve(self, gateway: &harombe_gateway::Service, tasks: &TaskSet) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let serving = serve_public(
            self.listener,
            self.tls,
            gateway.door(),
            self.limits,
            tasks.token(),
        );
        tasks.spawn(serving);
        format!("{scheme}://{}", self.address)
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Credential {
        what,
        path: path.to_owned(),
        source,
    })
}
