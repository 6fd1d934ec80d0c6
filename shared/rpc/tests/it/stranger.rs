//! A public port in front of the toy, and the raw sockets of those who misuse it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::approval_service_server::ApprovalServiceServer;
use harombe_rpc::{
    Authenticator, Deps, Door, GrpcChannel, LogRefusals, Metrics, PeerAddr, Public, PublicLimits, Server,
    serve_public,
};
use harombe_types::{Person, Role, ServiceName, SystemClock};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::toy::Toy;
use crate::world::person;

pub(crate) const KEY: &str = "hrb_the-only-key";
/// Nothing that a test waits for takes so long, on any machine.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Keys {
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

#[async_trait]
impl Authenticator for Keys {
    async fn authenticate(&self, parts: &Parts) -> Result<Person, Failure> {
        let shown = parts
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if let Some(PeerAddr(peer)) = parts.extensions.get() {
            self.peers.lock().push(*peer);
        }
        if shown == Some(&format!("Bearer {KEY}")) {
            return Ok(person(&[Role::Approver]));
        }
        Err(Failure::new(
            Code::Unauthenticated,
            Reason::Unauthenticated,
            "an API key is needed",
        ))
    }
}

/// A public port with the toy behind it.
pub(crate) struct Port {
    pub(crate) toy: Toy,
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    /// The callers' addresses, as the authenticator saw them.
    pub(crate) peers: Arc<Mutex<Vec<SocketAddr>>>,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: tokio::task::JoinHandle<()>,
}

impl Port {
    pub(crate) async fn open(limits: PublicLimits, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        Self::open_at(Ipv4Addr::LOCALHOST, limits, tls).await
    }

    pub(crate) async fn open_at(
        place: Ipv4Addr,
        limits: PublicLimits,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let toy = Toy::new();
        let keys = Keys::default();
        let peers = Arc::clone(&keys.peers);
        let deps = Deps {
            metrics: Metrics::new(),
            door: Door::Public(Arc::new(keys)),
            clock: Arc::new(SystemClock),
            refusals: Arc::new(LogRefusals),
        };
        let server = Server::builder(ServiceName::Gateway, deps)
            .service(ApprovalServiceServer::new(toy.clone()))
            .health()
            .build()
            .unwrap();
        let listener = TcpListener::bind((place, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let behind = server.clone();
        let service = tower::service_fn(move |request| {
            let server = behind.clone();
            async move { Ok(answer(&server, request).await) }
        });
        let serving = tokio::spawn(serve_public(listener, tls, service, limits, stop.clone()));
        Self {
            toy,
            server,
            address,
            peers,
            stop,
            serving,
        }
    }

    pub(crate) fn channel(&self) -> GrpcChannel {
        GrpcChannel::public(&Public {
            uri: format!("http://{}", self.address).parse().unwrap(),
            ca: None,
            key: Some(KEY.to_owned()),
        })
        .unwrap()
    }

    pub(crate) async fn call(&self) -> Result<(), Failure> {
        list(self.channel()).await
    }

    pub(crate) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// gRPC is the toy's; anything else gets its own body back.
async fn answer(server: &Server, request: Request<Body>) -> Response<Body> {
    let is_grpc = request
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind == "application/grpc");
    if is_grpc {
        return server.answer(request).await;
    }
    match request.into_body().collect().await {
        Ok(body) => Response::new(Body::new(http_body_util::Full::new(body.to_bytes()))),
        Err(status) => {
            let mut refused = Response::new(Body::new(status.message().to_owned()));
            *refused.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
            refused
        }
    }
}

pub(crate) async fn list(channel: GrpcChannel) -> Result<(), Failure> {
    ApprovalServiceClient::new(channel)
        .list(ListRequest::default())
        .await
        .map(drop)
        .map_err(Failure::from)
}

/// Writes `bytes`, and reads until the server closes; what it said, which is nothing when it cut the connection.
pub(crate) async fn converse(socket: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = tokio::io::split(socket);
    let mut said = Vec::new();
    let talk = async {
        // Both at once, and the server may close before it has read everything.
        let _ = tokio::join!(to.write_all(bytes), from.read_to_end(&mut said));
    };
    tokio::time::timeout(FOR_EVER, talk)
        .await
        .expect("the server never closed the connection");
    said
}

/// As [`converse`], for what is text.
pub(crate) async fn say(socket: TcpStream, bytes: &[u8]) -> String {
    String::from_utf8_lossy(&converse(socket, bytes).await).into_owned()
}
