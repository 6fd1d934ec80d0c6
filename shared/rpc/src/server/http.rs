//! HTTP on one connection: its limits, its end, and which of its requests are in flight.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::answers::Answers;
use super::connections::Seat;
use super::patience::Patient;

const KEEPALIVE: Duration = Duration::from_secs(30);
/// A waiting stream for each run must not keep calls from getting through: hyper's own limit is 200, and a runtime has 10,000
/// runs wait over one connection to its gateway and one to hitl.
const STREAMS: u32 = 16_384;
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
const HEADERS: u32 = 16 * 1024;
/// hyper keeps no smaller buffer.
const LEAST_BUFFER: usize = 8192;

/// How connections of one listener are served.
pub(crate) struct Http {
    protocol: auto::Builder<TokioExecutor>,
    idle: Option<Idle>,
    body: Option<Duration>,
    unread: Option<Duration>,
}

/// In the extensions of a request that came over a connection: cancelled when that is to close.
#[derive(Clone)]
pub(crate) struct Closing(pub(crate) CancellationToken);

/// When a connection without a request in flight is closed.
#[derive(Clone, Copy)]
pub(crate) struct Idle {
    /// Before its first request.
    pub(crate) first: Duration,
    pub(crate) later: Duration,
}

/// What strangers may use up.
pub(crate) struct Bounds {
    pub(crate) streams: u32,
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    pub(crate) header_bytes: u32,
    pub(crate) header_count: usize,
    pub(crate) idle: Idle,
    pub(crate) body: Duration,
    pub(crate) unread: Duration,
}

impl Http {
    /// HTTP/2 only, with windows for peers that are known.
    pub(crate) fn between_services() -> Self {
        let mut protocol = auto::Builder::new(TokioExecutor::new()).http2_only();
        protocol
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADERS)
            .keep_alive_interval(KEEPALIVE);
        Self {
            protocol,
            idle: None,
            body: None,
            unread: None,
        }
    }

    /// HTTP/1.1 and HTTP/2, told apart by the first bytes.
    pub(crate) fn for_strangers(bounds: &Bounds) -> Self {
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        let buffer = usize::try_from(bounds.header_bytes).unwrap_or(LEAST_BUFFER);
        protocol
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.idle.first)
            .max_headers(bounds.header_count)
            .max_buf_size(buffer.max(LEAST_BUFFER));
        protocol
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(bounds.stream_window)
            .initial_connection_window_size(bounds.connection_window)
            .max_concurrent_streams(bounds.streams)
            .max_header_list_size(bounds.header_bytes)
            .keep_alive_interval(KEEPALIVE);
        Self {
            protocol,
            idle: Some(bounds.idle),
            body: Some(bounds.body),
            unread: Some(bounds.unread),
        }
    }

    /// Serves one connection until it ends, idles for too long, is not read, must make room, or finished its calls after
    /// `stop`.
    pub(crate) async fn serve<IO, H, F>(&self, io: IO, seat: Arc<Seat>, stop: CancellationToken, handle: H)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        H: Fn(Request<Body>) -> F + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let (requests, patience) = (Arc::clone(&seat), self.body);
        let answers = Arc::new(Answers::default());
        let held = Arc::clone(&answers);
        let closing = Closing(stop.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let in_flight = requests.begin();
            let mut request = request.map(|body| match patience {
                Some(limit) => Body::new(Patient::new(body, limit)),
                None => Body::new(body),
            });
            request.extensions_mut().insert(closing.clone());
            let (answer, held) = (handle(request), Arc::clone(&held));
            async move {
                let response = answer.await;
                Ok::<_, Infallible>(response.map(|body| held.hold(body, in_flight)))
            }
        });
        let idled = async {
            match self.idle {
                Some(Idle { first, later }) => seat.idle_for(first, later).await,
                None => std::future::pending().await,
            }
        };
        let unread = async {
            match self.unread {
                Some(limit) => answers.give_up_unread(limit, &seat).await,
                None => std::future::pending().await,
            }
        };
        let connection = self.protocol.serve_connection(TokioIo::new(io), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = idled => return tracing::debug!("a connection was idle for too long"),
            () = unread => return tracing::debug!("nobody reads at the other end of a connection"),
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = seat.out().cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = &*error, "connection ended");
        }
    }
}
