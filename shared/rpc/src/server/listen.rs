//! Connections: TCP with mutual TLS between services, unix sockets for clients of the public door.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TrustRoots};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::server::UdsConnectInfo;

use super::{Peer, Server};
use crate::TlsError;
use crate::tls::server_config;

/// More wait in the listen queue.
const MAX_CONNECTIONS: usize = 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may take to finish its calls once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// After an accept that failed for want of a descriptor or memory.
const PAUSE: Duration = Duration::from_millis(100);
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// A waiting stream for each run must not keep calls from getting through: hyper's own limit is 200.
const MAX_STREAMS: u32 = 4096;
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Serves other services over mutual TLS until `stop` is cancelled and its connections have ended, at most 10 s later.
    ///
    /// # Errors
    /// The identity cannot be used for TLS.
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        identity: &ServiceIdentity,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(identity)?));
        let roots = identity.roots().clone();
        let mut connections = Connections::new(stop);
        while let Some(socket) = connections.next(|cx| listener.poll_accept(cx)).await {
            let (server, acceptor, roots) = (self.clone(), acceptor.clone(), roots.clone());
            connections.spawn(|stop| serve_tls_socket(server, socket, acceptor, roots, stop));
        }
        connections.end().await;
        Ok(())
    }

    /// Serves clients on a unix socket until `stop` is cancelled and its connections have ended, at most 10 s later.
    /// For a server with a public door: nothing on a unix socket says which service calls.
    pub async fn serve_unix(&self, listener: UnixListener, stop: CancellationToken) {
        let mut connections = Connections::new(stop);
        while let Some(socket) = connections.next(|cx| listener.poll_accept(cx)).await {
            let server = self.clone();
            connections.spawn(|stop| serve_unix_socket(server, socket, stop));
        }
        connections.end().await;
    }
}

/// The connections of one listener: bounded in number, and none outlives it.
struct Connections {
    tasks: JoinSet<()>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    permit: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Connections {
    fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            stop,
            permit: None,
        }
    }

    /// The next socket when there is room for it; `None` once the server is to stop.
    async fn next<S, A>(
        &mut self,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(S, A)>>,
    ) -> Option<S> {
        let stop = self.stop.clone();
        let next = async {
            self.permit = Arc::clone(&self.room).acquire_owned().await.ok();
            loop {
                match poll_fn(&mut accept).await {
                    Ok((socket, _)) => return socket,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(next).await
    }

    fn spawn<F>(&mut self, serve: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        let permit = self.permit.take();
        let connection = serve(self.stop.clone());
        self.tasks.spawn(async move {
            connection.await;
            drop(permit);
        });
    }

    async fn end(mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("connections were cut: their calls did not end in time");
        }
        self.tasks.shutdown().await;
    }
}

async fn serve_tls_socket(
    server: Server,
    socket: TcpStream,
    acceptor: TlsAcceptor,
    roots: TrustRoots,
    stop: CancellationToken,
) {
    // Without it small messages wait for the previous one's acknowledgement.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::warn!(%error, "TLS handshake failed"),
        Err(_) => return tracing::warn!("TLS handshake took too long"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    match roots.verify_chain(chain, server.inner.deps.clock.now()) {
        Ok(service) => serve(server, stream, Peer::Certified(service), None, stop).await,
        Err(error) => tracing::warn!(%error, "the peer's certificate names no service"),
    }
}

async fn serve_unix_socket(server: Server, socket: UnixStream, stop: CancellationToken) {
    let info = UdsConnectInfo {
        peer_addr: socket.peer_addr().ok().map(Arc::new),
        peer_cred: socket.peer_cred().ok(),
    };
    serve(server, socket, Peer::Unknown, Some(info), stop).await;
}

async fn serve<IO>(server: Server, io: IO, peer: Peer, info: Option<UdsConnectInfo>, stop: CancellationToken)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let server = server.clone();
        let mut request = request.map(Body::new);
        if let Some(info) = &info {
            request.extensions_mut().insert(info.clone());
        }
        async move { Ok::<_, Infallible>(server.call(request, &peer).await) }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEPALIVE);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
