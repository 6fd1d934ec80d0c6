//! A client on the network, without the network: its requests have what the public port knows of them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use harombe_gateway::Service;
use harombe_rpc::{PeerAddr, Server};
use http::{HeaderName, HeaderValue};
use tonic::body::Body;

#[derive(Clone)]
pub(crate) struct Network {
    server: Server,
    peer: SocketAddr,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Network {
    /// Somebody without a key.
    pub(crate) fn new(gateway: &Service) -> Self {
        Self {
            server: gateway.server().clone(),
            peer: "192.0.2.1:40000".parse().unwrap(),
            header: None,
        }
    }

    pub(crate) fn with_key(self, key: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn with_header(self, name: &'static str, value: &str) -> Self {
        let header = (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
        Self {
            header: Some(header),
            ..self
        }
    }

    pub(crate) fn from(self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 40000);
        Self { peer, ..self }
    }
}

impl tower::Service<http::Request<Body>> for Network {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        request.extensions_mut().insert(PeerAddr(this.peer));
        if let Some((name, value)) = this.header {
            request.headers_mut().insert(name, value);
        }
        Box::pin(async move { Ok(this.server.answer(request).await) })
    }
}
