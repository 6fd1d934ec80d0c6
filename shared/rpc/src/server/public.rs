//! The port that strangers reach: HTTP/1.1 and HTTP/2 on one TCP port, with a bound on everything that they can use up.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harombe_telemetry::TraceContext;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};
use tracing::Instrument as _;

use super::connections::{Connections, Seat};
use super::http::{Bounds, Http, Idle};
use super::listen::without_delay;
use crate::trace;

/// In the extensions of a request that came over TCP: from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// What callers of a public port may use up.
#[derive(Clone, Debug)]
pub struct PublicLimits {
    /// At a full table strangers make room, and then the connection that was idle for longest; those with calls of somebody
    /// known in flight keep newcomers waiting.
    pub connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes that a client may send ahead of its reader, for one HTTP/2 request; four times this for a connection.
    pub window: u32,
    /// The size of all headers of a request, in bytes; at least 8 KiB for HTTP/1.1.
    pub header_bytes: u32,
    pub header_count: usize,
    /// For the TLS handshake, and then again for the first request's headers.
    pub greeting: Duration,
    /// For which a connection may have no request in flight.
    pub idle: Duration,
    /// For which a reader waits for the next piece of a request's body.
    pub body: Duration,
    /// For which an answer waits for its client to read on; the call ends then, and a connection that has no other closes.
    pub unread: Duration,
}

impl Default for PublicLimits {
    fn default() -> Self {
        Self {
            connections: 8192,
            streams: 1024,
            window: 256 * 1024,
            header_bytes: 16 * 1024,
            header_count: 100,
            greeting: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            body: Duration::from_secs(60),
            unread: Duration::from_secs(120),
        }
    }
}

impl PublicLimits {
    fn http(&self) -> Http {
        Http::for_strangers(&Bounds {
            streams: self.streams,
            stream_window: self.window,
            connection_window: self.window.saturating_mul(4),
            header_bytes: self.header_bytes,
            header_count: self.header_count,
            idle: Idle {
                first: self.greeting,
                later: self.idle,
            },
            body: self.body,
            unread: self.unread,
        })
    }
}

/// Serves `service` to anyone until `stop` is cancelled and its connections have ended, at most 10 s later.
///
/// HTTP/1.1 and HTTP/2 on one port: by ALPN with TLS, by HTTP/2's preface without. Each request has its [`PeerAddr`].
pub async fn serve_public<S>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: S,
    limits: PublicLimits,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let door = Arc::new(Door {
        http: limits.http(),
        tls: tls.map(TlsAcceptor::from),
        greeting: limits.greeting,
    });
    let mut connections = Connections::new(limits.connections, stop);
    while let Some((socket, peer)) = connections.next(|cx| listener.poll_accept(cx)).await {
        let (door, service) = (Arc::clone(&door), service.clone());
        connections.spawn(|seat, stop| async move { door.serve(socket, peer, service, seat, stop).await });
    }
    drop(listener);
    connections.end().await;
}

struct Door {
    http: Http,
    tls: Option<TlsAcceptor>,
    greeting: Duration,
}

impl Door {
    async fn serve<S>(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        service: S,
        seat: Arc<Seat>,
        stop: CancellationToken,
    ) where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        seat.mark_strange();
        let place = Arc::clone(&seat);
        let handle = move |mut request: Request<Body>| {
            request.extensions_mut().insert(PeerAddr(peer));
            request.extensions_mut().insert(Arc::clone(&place));
            // Whoever may name the trace could mix theirs with what others do: what they say is noted, no more.
            let (trace, theirs) = (TraceContext::start(), trace::taken(request.headers_mut()));
            let (method, path) = (request.method().as_str(), request.uri().path());
            let span = trace::span_of_request(method, path, trace, theirs);
            let service = service.clone();
            let answer = async move {
                match service.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            };
            trace.scope(answer).instrument(span)
        };
        without_delay(&socket);
        let Some(tls) = &self.tls else {
            return self.http.serve(socket, seat, stop, handle).await;
        };
        // What strangers get wrong is not worth a line in the log of its own.
        match tokio::time::timeout(self.greeting, tls.accept(socket)).await {
            Ok(Ok(stream)) => self.http.serve(stream, seat, stop, handle).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }
}
