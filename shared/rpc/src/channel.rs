//! The one client type: a service in this process or on the network looks the same to its caller.

mod balance;
mod dial;
mod retry;
mod tap;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use harombe_error::{Code, Failure, Reason};
use harombe_identity::ServiceIdentity;
use harombe_types::ServiceName;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response, Uri};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt as _;

use crate::methods::{Method, Methods};
use crate::server::{Guarded, Peer, deadline_exceeded};
use crate::{Server, TlsError, timeout, trace};
use balance::Balance;
pub use balance::Balanced;
pub use tap::Tap;

/// What generated clients are made of: `AuditServiceClient::new(channel.clone())`. Cheap to clone.
///
/// A unary call that names no deadline gets 10 s. A unary call whose idempotency option names a key is tried up to three
/// times while the service cannot be reached. A connection is made at first use, and again when it was lost.
#[derive(Clone)]
pub struct GrpcChannel {
    transport: Transport,
    methods: &'static Methods,
}

/// Another service, as it is reached over the network.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Host and port; the scheme does not matter, it is always TLS.
    pub uri: Uri,
    /// Who calls.
    pub identity: ServiceIdentity,
    /// Whose certificate must be at the other end.
    pub server: ServiceName,
}

/// The public door of a gateway, as a client reaches it.
#[derive(Clone)]
pub struct Public {
    /// `http://host:port` or `https://host:port`.
    pub uri: Uri,
    /// Whose certificates are trusted, as PEM; the system's roots when `None`.
    pub ca: Option<Vec<u8>>,
    /// The API key that every call shows.
    pub key: Option<String>,
}

#[derive(Clone)]
enum Transport {
    Local {
        server: Server,
        caller: ServiceName,
    },
    Network {
        channel: Channel,
        to: Arc<str>,
        /// Shown with every call at the public door.
        key: Option<HeaderValue>,
    },
    Balanced(Arc<Balance>),
    Tapped {
        inner: Box<Transport>,
        tap: Arc<dyn Tap>,
    },
}

/// What the stack knows of one call before it is sent.
struct Call {
    method: Option<&'static Method>,
    deadline: Option<Instant>,
}

impl GrpcChannel {
    /// Calls `server` in this process, without a socket, as the service `as_`.
    #[must_use]
    pub fn local(server: &Server, as_: ServiceName) -> Self {
        Self {
            transport: Transport::Local {
                server: server.clone(),
                caller: as_,
            },
            methods: server.methods(),
        }
    }

    /// Calls a service over mutual TLS. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The identity cannot be used for TLS, or the address has no host or port.
    pub fn remote(remote: &Remote) -> Result<Self, TlsError> {
        let channel = dial::tls(&remote.uri, &remote.identity, remote.server)?;
        let to = remote.server.as_str().into();
        Ok(Self {
            transport: Transport::Network {
                channel,
                to,
                key: None,
            },
            methods: Methods::ours()?,
        })
    }

    /// Calls whichever instances of a service are there, over mutual TLS. Must be called inside a tokio runtime; dials and
    /// watches the instances from now on until the last clone is dropped.
    ///
    /// Calls go round among the addresses that are connected and whose `grpc.health.v1` says `SERVING`; while there is
    /// none, a call waits for one, at most 2 s. A call that may be repeated is tried again at another address.
    ///
    /// # Errors
    /// The identity cannot be used for TLS, or there is no target, or one that is not `host:port`.
    pub fn balanced(balanced: &Balanced) -> Result<Self, TlsError> {
        Ok(Self {
            transport: Transport::Balanced(Arc::new(Balance::start(balanced)?)),
            methods: Methods::ours()?,
        })
    }

    /// Calls the public door over TCP. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The address has no host or port, the CA cannot be read, or the key would be readable on its way: it goes in plain
    /// text to this machine's own addresses only.
    pub fn public(door: &Public) -> Result<Self, TlsError> {
        let channel = dial::public(&door.uri, door.ca.as_deref())?;
        if door.key.is_some() && !dial::is_private(&door.uri) {
            return Err(TlsError::PlainText(door.uri.clone()));
        }
        Ok(Self {
            transport: Transport::Network {
                channel,
                to: door
                    .uri
                    .authority()
                    .map_or("", |authority| authority.as_str())
                    .into(),
                key: door.key.as_deref().map(bearer).transpose()?,
            },
            methods: Methods::ours()?,
        })
    }

    /// Calls the public door that listens on a unix socket. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The compiled protos cannot be read.
    pub fn unix(path: &Path) -> Result<Self, TlsError> {
        let to = path.to_string_lossy().into();
        Ok(Self {
            transport: Transport::Network {
                channel: dial::unix(path),
                to,
                key: None,
            },
            methods: Methods::ours()?,
        })
    }
}

impl GrpcChannel {
    /// The same channel with a tap on it.
    #[must_use]
    pub fn tapped(self, tap: Arc<dyn Tap>) -> Self {
        let inner = Box::new(self.transport);
        Self {
            transport: Transport::Tapped { inner, tap },
            ..self
        }
    }
}

/// Gives a unary call its deadline, and repeats it where that is allowed.
async fn send(channel: GrpcChannel, mut request: Request<Body>) -> Result<Response<Body>, Status> {
    let method = channel.methods.get(request.uri().path());
    let unary = method.is_some_and(|method| method.unary);
    if unary && !request.headers().contains_key(timeout::HEADER) {
        request
            .headers_mut()
            .insert(timeout::HEADER, timeout::DEFAULT_VALUE);
    }
    trace::outgoing(request.headers_mut());
    let allowed = timeout::parse(request.headers());
    let deadline = allowed.and_then(|allowed| Instant::now().checked_add(allowed));
    let call = Call { method, deadline };
    if method.is_some_and(|method| method.unary && method.repeatable) {
        return retry::send(&channel.transport, &call, request).await;
    }
    channel.transport.send(&call, request).await
}

impl Transport {
    async fn send(&self, call: &Call, request: Request<Body>) -> Result<Response<Body>, Status> {
        match self {
            // The server's stack runs in this very future and holds the deadline.
            Self::Local { server, caller } => Ok(server.call(request, &Peer::InProcess(*caller)).await),
            Self::Network { channel, to, key } => {
                let request = with_key(request, key.as_ref());
                over_network(channel.clone(), to, call, request).await
            }
            Self::Balanced(balance) => balance.send(call, request).await,
            Self::Tapped { inner, tap } => {
                let ticket = tap.before(request.uri().path())?;
                let response = Box::pin(inner.send(call, request)).await;
                tap.after(ticket);
                response
            }
        }
    }
}

fn bearer(key: &str) -> Result<HeaderValue, TlsError> {
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| TlsError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

fn with_key(mut request: Request<Body>, key: Option<&HeaderValue>) -> Request<Body> {
    if let Some(key) = key {
        request.headers_mut().insert(AUTHORIZATION, key.clone());
    }
    request
}

async fn over_network(
    channel: Channel,
    to: &Arc<str>,
    call: &Call,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let sent = channel.oneshot(request);
    let answered = match call.deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, sent)
            .await
            .map_err(|_| deadline_exceeded())?,
        None => sent.await,
    };
    let response = answered.map_err(|error| unreachable(to, &error))?;
    let path = call.method.map_or("", |method| &*method.path);
    Ok(response.map(|body| {
        let body = Guarded::new(body, path, call.deadline, None);
        Body::new(body.lost_as(Arc::clone(to)))
    }))
}

/// What cannot be reached is unavailable, whatever the transport calls it; the causes go to the log, not to our callers.
fn unreachable(to: &str, error: &tonic::transport::Error) -> Status {
    let mut causes = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // tonic's own timer may see the same deadline a moment before ours.
        if cause.is::<tonic::TimeoutExpired>() {
            return deadline_exceeded();
        }
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::warn!(to, error = %format_args!("{error}{causes}"), "call failed");
    lost(to)
}

pub(crate) fn lost(to: &str) -> Status {
    Failure::new(
        Code::Unavailable,
        Reason::Unavailable,
        format!("{to} cannot be reached"),
    )
    .to_status()
}

impl tower::Service<Request<Body>> for GrpcChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(send(self.clone(), request))
    }
}
