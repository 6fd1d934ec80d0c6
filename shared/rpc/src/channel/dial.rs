//! How a channel gets its connection: TCP with mutual TLS, or a unix socket; made at first use, and again when lost.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, dns_name};
use harombe_types::ServiceName;
use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::TlsError;
use crate::tls::{client_config, public_client_config};

const CONNECT: Duration = Duration::from_secs(5);
/// While a stream is open: a peer that stands still is known to be lost after this and the timeout.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// Dials instances of one service over mutual TLS.
#[derive(Clone)]
pub(super) struct MutualTls {
    connector: TlsConnector,
    /// What the certificate at the other end must say, whatever the address is.
    name: ServerName<'static>,
}

impl MutualTls {
    pub(super) fn new(identity: &ServiceIdentity, server: ServiceName) -> Result<Self, TlsError> {
        let name = dns_name(server);
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client_config(identity)?)),
            name: ServerName::try_from(name.clone()).map_err(|_| TlsError::Target(name))?,
        })
    }

    pub(super) fn channel(&self, host: Arc<str>, port: u16) -> Channel {
        let tls = self.clone();
        let dial = tower::service_fn(move |_: Uri| {
            let (host, tls) = (Arc::clone(&host), tls.clone());
            in_time(async move {
                let socket = tcp(&host, port).await?;
                Ok(TokioIo::new(tls.connector.connect(tls.name, socket).await?))
            })
        });
        endpoint().connect_with_connector_lazy(dial)
    }
}

pub(super) fn tls(uri: &Uri, identity: &ServiceIdentity, server: ServiceName) -> Result<Channel, TlsError> {
    let (host, port) = address(uri)?;
    Ok(MutualTls::new(identity, server)?.channel(host, port))
}

pub(super) fn unix(path: &Path) -> Channel {
    let path: Arc<Path> = path.into();
    let dial = tower::service_fn(move |_: Uri| {
        let path = Arc::clone(&path);
        in_time(async move { Ok(TokioIo::new(UnixStream::connect(&*path).await?)) })
    });
    endpoint().connect_with_connector_lazy(dial)
}

/// A client of the public door, in plain text or with TLS as the URI's scheme says.
pub(super) fn public(uri: &Uri, ca: Option<&[u8]>) -> Result<Channel, TlsError> {
    let (host, port) = address(uri)?;
    let endpoint = endpoint().origin(uri.clone());
    if uri.scheme() == Some(&Scheme::HTTP) {
        let dial = tower::service_fn(move |_: Uri| {
            let host = Arc::clone(&host);
            in_time(async move { Ok(TokioIo::new(tcp(&host, port).await?)) })
        });
        return Ok(endpoint.connect_with_connector_lazy(dial));
    }
    let name = ServerName::try_from(host.to_string()).map_err(|_| TlsError::Address(uri.clone()))?;
    let connector = TlsConnector::from(Arc::new(public_client_config(ca)?));
    let dial = tower::service_fn(move |_: Uri| {
        let (host, name, connector) = (Arc::clone(&host), name.clone(), connector.clone());
        in_time(async move {
            let socket = tcp(&host, port).await?;
            Ok(TokioIo::new(connector.connect(name, socket).await?))
        })
    });
    Ok(endpoint.connect_with_connector_lazy(dial))
}

/// Whether nobody on the way can read what is sent there.
pub(super) fn is_private(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
        || address(uri).is_ok_and(|(host, _)| {
            &*host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        })
}

fn address(uri: &Uri) -> Result<(Arc<str>, u16), TlsError> {
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(TlsError::Address(uri.clone()));
    };
    Ok((host.trim_start_matches('[').trim_end_matches(']').into(), port))
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((host, port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn in_time<T>(connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(CONNECT, connect)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

// The address is the dialler's; tonic only needs some authority, and a scheme that keeps it from adding TLS of its own.
fn endpoint() -> Endpoint {
    Endpoint::from_static("http://harombe.internal")
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}
