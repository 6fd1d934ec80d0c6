//! Performs one decided request: HTTP/1.1 to a pinned address, TLS verified, everything bounded.

mod body;
mod error;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use harombe_redact::Scanner;
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::address::CheckedAddress;
use crate::domain::decision::Allowed;
use crate::domain::headers;
use crate::domain::host::Host;
use crate::domain::target::Scheme;
use crate::net::dialer::{Dialer, Stream};
use crate::net::roots::Roots;

pub use body::Body;
pub use error::FetchError;

/// Says who asks when the caller does not.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("harombe/", env!("CARGO_PKG_VERSION")));

/// Bounds of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect to one address.
    pub connect: Duration,
    /// From the connection to the end of the response's head, TLS included.
    pub head: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// For the whole exchange.
    pub total: Duration,
    /// Of the response's head, in bytes.
    pub head_bytes: usize,
    /// Of the response's head, in fields.
    pub head_fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            total: Duration::from_secs(60),
            head_bytes: 64 * 1024,
            head_fields: 128,
        }
    }
}

/// The head of a response, without what belongs to the hop and without secrets. A redirect is returned, never followed.
#[derive(Clone, Debug)]
pub struct Head {
    pub status: u16,
    pub fields: HeaderMap,
    /// The address that answered.
    pub address: CheckedAddress,
}

/// A response whose body is still to be read.
#[derive(Debug)]
pub struct Fetched {
    pub head: Head,
    pub body: Body,
}

/// Sends requests that were decided.
pub struct Fetcher {
    dialer: Arc<dyn Dialer>,
    roots: Roots,
    limits: Limits,
    tls: OnceCell<Arc<ClientConfig>>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    pub fn new(dialer: Arc<dyn Dialer>, roots: Roots, limits: Limits) -> Self {
        Self {
            dialer,
            roots,
            limits,
            tls: OnceCell::new(),
        }
    }

    /// Sends the request to the first pinned address that accepts a connection, and reads the response's head.
    /// At most `max_bytes` of the body are returned, without the secrets in it.
    ///
    /// # Errors
    /// Whatever ends the exchange before its head is complete.
    pub async fn fetch(
        &self,
        allowed: &Allowed,
        outgoing: HeaderMap,
        max_bytes: u64,
    ) -> Result<Fetched, FetchError> {
        let deadline = Instant::now() + self.limits.total;
        let (address, stream) = self.connect(allowed, deadline).await?;
        let head_deadline = deadline.min(Instant::now() + self.limits.head);
        let exchange = async {
            let stream = self.secure(allowed, stream).await?;
            self.exchange(allowed, outgoing, stream).await
        };
        let (response, connection) = timeout_at(head_deadline, exchange)
            .await
            .map_err(|_| FetchError::TimeLimit)??;
        let (parts, incoming) = response.into_parts();
        // Nothing was asked to be upgraded; a peer that switches protocols wants a raw tunnel.
        if parts.status == http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(FetchError::Switched);
        }
        if !headers::is_plain(&parts.headers) {
            return Err(FetchError::Coded);
        }
        let mut fields = parts.headers;
        headers::strip_response(&mut fields);
        let fields = headers::redact_response(fields, Scanner::shared());
        let body = Body::new(incoming, connection, max_bytes, self.limits.idle, deadline);
        Ok(Fetched {
            head: Head {
                status: parts.status.as_u16(),
                fields,
                address,
            },
            body,
        })
    }

    async fn connect(
        &self,
        allowed: &Allowed,
        deadline: Instant,
    ) -> Result<(CheckedAddress, Box<dyn Stream>), FetchError> {
        let port = allowed.target.authority().port;
        let mut last = None;
        for &address in &allowed.pinned {
            let until = deadline.min(Instant::now() + self.limits.connect);
            match timeout_at(until, self.dialer.dial(address, port)).await {
                Ok(Ok(stream)) => return Ok((address, stream)),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(std::io::ErrorKind::TimedOut.into()),
            }
        }
        Err(FetchError::Dial(
            last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into()),
        ))
    }

    /// Opens TLS where the scheme asks for it; the name in SNI and certificate is the one decided about.
    async fn secure(
        &self,
        allowed: &Allowed,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, FetchError> {
        if allowed.target.scheme() == Scheme::Http {
            return Ok(stream);
        }
        let name = match &allowed.target.authority().host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => {
                ServerName::try_from(name.as_str().to_owned()).map_err(|_| FetchError::ServerName)?
            }
        };
        let connector = TlsConnector::from(self.tls().await?);
        let stream = connector.connect(name, stream).await.map_err(FetchError::Tls)?;
        Ok(Box::new(stream))
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, FetchError> {
        let load = || async {
            let roots = self.roots.clone();
            let config = tokio::task::spawn_blocking(move || roots.client_config()).await;
            config
                .map_err(|_| FetchError::Interrupted)?
                .map_err(FetchError::Roots)
        };
        self.tls.get_or_try_init(load).await.cloned()
    }

    async fn exchange(
        &self,
        allowed: &Allowed,
        outgoing: HeaderMap,
        stream: Box<dyn Stream>,
    ) -> Result<(http::Response<hyper::body::Incoming>, AbortOnDropHandle<()>), FetchError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_header_size(self.limits.head_bytes)
            .max_headers(self.limits.head_fields)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(FetchError::Exchange)?;
        // The connection's own errors reach the caller through the response or its body.
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let response = sender
            .send_request(request(allowed, outgoing)?)
            .await
            .map_err(FetchError::Exchange)?;
        Ok((response, driver))
    }
}

fn request(allowed: &Allowed, outgoing: HeaderMap) -> Result<http::Request<Empty<Bytes>>, FetchError> {
    let host = HeaderValue::from_str(&allowed.target.host_header()).map_err(|_| FetchError::ServerName)?;
    let mut request = http::Request::builder()
        .method(allowed.method.as_str())
        .uri(allowed.target.path_and_query())
        .body(Empty::new())
        .map_err(FetchError::Request)?;
    let fields = request.headers_mut();
    *fields = outgoing;
    fields.insert(header::HOST, host);
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    fields.entry(header::USER_AGENT).or_insert(USER_AGENT);
    Ok(request)
}
