//! How a channel gets its connection: TCP with mutual TLS, or a unix socket; made at first use, and again when lost.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, dns_name};
use harombe_types::ServiceName;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::TlsError;
use crate::tls::client_config;

const CONNECT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

pub(super) fn tls(uri: &Uri, identity: &ServiceIdentity, server: ServiceName) -> Result<Channel, TlsError> {
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(TlsError::Address(uri.clone()));
    };
    let host: Arc<str> = host.trim_start_matches('[').trim_end_matches(']').into();
    let name = ServerName::try_from(dns_name(server)).map_err(|_| TlsError::Address(uri.clone()))?;
    let connector = TlsConnector::from(Arc::new(client_config(identity)?));
    let dial = tower::service_fn(move |_: Uri| {
        let (host, name, connector) = (Arc::clone(&host), name.clone(), connector.clone());
        in_time(async move {
            let socket = TcpStream::connect((&*host, port)).await?;
            socket.set_nodelay(true)?;
            Ok(TokioIo::new(connector.connect(name, socket).await?))
        })
    });
    Ok(endpoint().connect_with_connector_lazy(dial))
}

pub(super) fn unix(path: &Path) -> Channel {
    let path: Arc<Path> = path.into();
    let dial = tower::service_fn(move |_: Uri| {
        let path = Arc::clone(&path);
        in_time(async move { Ok(TokioIo::new(UnixStream::connect(&*path).await?)) })
    });
    endpoint().connect_with_connector_lazy(dial)
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
