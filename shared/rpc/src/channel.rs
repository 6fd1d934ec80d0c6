//! The one client type: a service in this process or on the network looks the same to its caller.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use harombe_types::ServiceName;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;

use crate::methods::Methods;
use crate::server::Peer;
use crate::{Server, timeout};

/// What generated clients are made of: `AuditServiceClient::new(channel.clone())`. Cheap to clone.
///
/// A unary call that names no deadline gets 10 s.
#[derive(Clone)]
pub struct GrpcChannel {
    transport: Transport,
    methods: &'static Methods,
}

#[derive(Clone)]
enum Transport {
    Local { server: Server, caller: Peer },
}

impl GrpcChannel {
    /// Calls `server` in this process, without a socket, as the service `as_`.
    #[must_use]
    pub fn local(server: &Server, as_: ServiceName) -> Self {
        Self {
            transport: Transport::Local {
                server: server.clone(),
                caller: Peer::Service(as_),
            },
            methods: server.methods(),
        }
    }
}

impl Transport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        match self {
            Self::Local { server, caller } => Ok(server.call(request, caller).await),
        }
    }
}

async fn send(channel: GrpcChannel, mut request: Request<Body>) -> Result<Response<Body>, Status> {
    let method = channel.methods.get(request.uri().path());
    if method.is_some_and(|method| method.unary) && !request.headers().contains_key(timeout::HEADER) {
        request
            .headers_mut()
            .insert(timeout::HEADER, timeout::DEFAULT_VALUE);
    }
    channel.transport.send(request).await
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
