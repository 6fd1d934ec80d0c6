//! Connections to one upstream: to the place that its configuration names, verified, and kept open between requests.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::Service;

use crate::domain::host::Host;
use crate::domain::target::{Scheme, Target};
use crate::net::dialer::Stream;
use crate::net::roots::{Roots, RootsError};

/// To connect, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection stays open without a request, and how many do.
const KEEP: Duration = Duration::from_secs(30);
const KEPT: usize = 32;

/// Bounds of an answer's head.
const HEAD_BYTES: usize = 64 * 1024;
const HEAD_FIELDS: usize = 128;

/// The body of a request that is passed on.
pub type Sending = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What keeps a connection from being made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("it does not accept connections")]
    Dial(#[source] io::Error),
    #[error("it could not prove its name")]
    Tls(#[source] io::Error),
    #[error("tls is not available")]
    Roots(#[source] RootsError),
    #[error("{path} holds no certificates")]
    Ca {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("the host cannot be named")]
    Name,
    #[error("no connection was made in time")]
    TimeLimit,
    #[error("the proxy is shutting down")]
    Interrupted,
}

/// The client of one upstream. Speaks HTTP/1.1, follows no redirect, and repeats a request only if not a byte of it left.
#[derive(Clone)]
pub struct UpstreamClient {
    client: legacy::Client<Connector, Sending>,
    origin: String,
}

impl fmt::Debug for UpstreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamClient")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl UpstreamClient {
    /// Connects at the first request. `ca` names the only authorities that count, in place of `roots`.
    pub fn new(target: &Target, ca: Option<PathBuf>, roots: Roots) -> Self {
        let secured = Secured {
            ca,
            roots,
            config: OnceCell::new(),
        };
        let connector = Connector {
            target: Arc::new(target.clone()),
            secured: Arc::new(secured),
        };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(KEPT)
            .http1_max_buf_size(HEAD_BYTES)
            .http1_max_headers(HEAD_FIELDS)
            .set_host(false)
            .build(connector);
        let origin = format!("{}://{}", target.scheme().as_str(), target.authority());
        Self { client, origin }
    }

    /// Sends a request whose URI is a path, and waits for the answer's head.
    ///
    /// # Errors
    /// No connection, or the exchange broke before the head was complete.
    pub async fn send(
        &self,
        mut request: http::Request<Sending>,
    ) -> Result<http::Response<Incoming>, legacy::Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        // Origin and path were checked on their own; should they not fit together, the path alone is refused as no URL.
        if let Ok(uri) = format!("{}{path}", self.origin).parse::<Uri>() {
            *request.uri_mut() = uri;
        }
        self.client.request(request).await
    }
}

#[derive(Clone, Debug)]
struct Connector {
    target: Arc<Target>,
    secured: Arc<Secured>,
}

#[derive(Debug)]
struct Secured {
    ca: Option<PathBuf>,
    roots: Roots,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Secured {
    async fn config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        let load = || async {
            let (ca, roots) = (self.ca.clone(), self.roots.clone());
            tokio::task::spawn_blocking(move || load(ca, &roots))
                .await
                .map_err(|_| ConnectError::Interrupted)?
        };
        self.config.get_or_try_init(load).await.cloned()
    }
}

fn load(ca: Option<PathBuf>, roots: &Roots) -> Result<Arc<ClientConfig>, ConnectError> {
    let Some(path) = ca else {
        return roots.client_config().map_err(ConnectError::Roots);
    };
    let read = || -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
        CertificateDer::pem_file_iter(&path)?.collect()
    };
    let certificates = read().map_err(|source| ConnectError::Ca {
        path: path.clone(),
        source,
    })?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    Roots::Given(store).client_config().map_err(ConnectError::Roots)
}

impl Connector {
    /// The target's own host and port; what the request names was made from them.
    async fn connect(self) -> Result<Wire, ConnectError> {
        let (host, port) = (&self.target.authority().host, self.target.authority().port);
        // The operator wrote this name, so the machine's own resolution counts: hosts file, search domains and all.
        let stream = match host {
            Host::Address(address) => TcpStream::connect((*address, port)).await,
            Host::Name(name) => TcpStream::connect((name.as_str(), port)).await,
        };
        let stream = stream.map_err(ConnectError::Dial)?;
        stream.set_nodelay(true).map_err(ConnectError::Dial)?;
        if self.target.scheme() == Scheme::Http {
            return Ok(Wire(TokioIo::new(Box::new(stream))));
        }
        let name = match host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => {
                ServerName::try_from(name.as_str().to_owned()).map_err(|_| ConnectError::Name)?
            }
        };
        let connector = TlsConnector::from(self.secured.config().await?);
        let stream = connector.connect(name, stream).await.map_err(ConnectError::Tls)?;
        Ok(Wire(TokioIo::new(Box::new(stream))))
    }
}

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Wire, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connecting = self.clone().connect();
        Box::pin(async {
            timeout(CONNECT, connecting)
                .await
                .map_err(|_| ConnectError::TimeLimit)?
        })
    }
}

/// A connection, as the pool wants it.
struct Wire(TokioIo<Box<dyn Stream>>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
