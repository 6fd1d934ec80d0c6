//! Connections: TCP with mutual TLS between services, unix sockets for clients of the public door.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TrustRoots};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::UdsConnectInfo;

use super::complaints::Complaints;
use super::connections::{Connections, Seat};
use super::http::Http;
use super::{Peer, Server};
use crate::TlsError;
use crate::tls::server_config;

const MAX_CONNECTIONS: usize = 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Serves other services over mutual TLS until `stop` is cancelled and its connections have ended, at most 10 s later.
    /// From then on its health says that it does not serve.
    ///
    /// # Errors
    /// The identity cannot be used for TLS.
    pub async fn serve_tls(
        &self,
        listener: TcpListener,
        identity: &ServiceIdentity,
        stop: CancellationToken,
    ) -> Result<(), ServeError> {
        let door = Arc::new(MutualTls {
            server: self.clone(),
            acceptor: TlsAcceptor::from(Arc::new(server_config(identity)?)),
            roots: identity.roots().clone(),
            http: Http::between_services(),
            complaints: Complaints::new(),
        });
        let mut connections = Connections::new(MAX_CONNECTIONS, stop);
        while let Some((socket, peer)) = connections.next(|cx| listener.poll_accept(cx)).await {
            let door = Arc::clone(&door);
            connections.spawn(|seat, stop| async move { door.serve(socket, peer, seat, stop).await });
        }
        drop(listener);
        self.set_serving(false);
        connections.end().await;
        Ok(())
    }

    /// Serves clients on a unix socket until `stop` is cancelled and its connections have ended, at most 10 s later.
    /// For a server with a public door: nothing on a unix socket says which service calls.
    pub async fn serve_unix(&self, listener: UnixListener, stop: CancellationToken) {
        let http = Arc::new(Http::between_services());
        let mut connections = Connections::new(MAX_CONNECTIONS, stop);
        while let Some((socket, _)) = connections.next(|cx| listener.poll_accept(cx)).await {
            let (server, http) = (self.clone(), Arc::clone(&http));
            connections.spawn(|seat, stop| async move {
                let info = UdsConnectInfo {
                    peer_addr: socket.peer_addr().ok().map(Arc::new),
                    peer_cred: socket.peer_cred().ok(),
                };
                serve_unix_socket(server, socket, info, &http, seat, stop).await;
            });
        }
        drop(listener);
        connections.end().await;
    }
}

struct MutualTls {
    server: Server,
    acceptor: TlsAcceptor,
    roots: TrustRoots,
    http: Http,
    complaints: Complaints,
}

impl MutualTls {
    async fn serve(&self, socket: TcpStream, peer: SocketAddr, seat: Arc<Seat>, stop: CancellationToken) {
        without_delay(&socket);
        let stream = match tokio::time::timeout(HANDSHAKE, self.acceptor.accept(socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.complaints.tell(&peer, &error),
            Err(_) => return self.complaints.tell(&peer, &"the TLS handshake took too long"),
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        match self.roots.verify_chain(chain, self.server.inner.deps.clock.now()) {
            Ok(service) => self.speak(stream, Peer::Certified(service), seat, stop).await,
            Err(error) => self.complaints.tell(&peer, &error),
        }
    }

    async fn speak<IO>(&self, io: IO, peer: Peer, seat: Arc<Seat>, stop: CancellationToken)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = self.server.clone();
        let handle = move |request| {
            let server = server.clone();
            async move { server.call(request, &peer).await }
        };
        self.http.serve(io, seat, stop, handle).await;
    }
}

async fn serve_unix_socket(
    server: Server,
    socket: UnixStream,
    info: UdsConnectInfo,
    http: &Http,
    seat: Arc<Seat>,
    stop: CancellationToken,
) {
    let handle = move |mut request: http::Request<tonic::body::Body>| {
        request.extensions_mut().insert(info.clone());
        let server = server.clone();
        async move { server.call(request, &Peer::Unknown).await }
    };
    http.serve(socket, seat, stop, handle).await;
}

/// Without it small messages wait for the previous one's acknowledgement.
pub(super) fn without_delay(socket: &TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
}
