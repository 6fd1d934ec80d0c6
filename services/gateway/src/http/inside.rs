//! The gRPC server as the forms in front of it call it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use harombe_error::Failure;
use harombe_rpc::{Place, Server};
use http::request::Parts;
use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

/// Calls as strangers make them: the server establishes who it is from the request.
#[derive(Clone)]
pub(crate) struct Inside(Server);

impl Inside {
    pub(crate) fn new(server: Server) -> Self {
        Self(server)
    }

    /// Whether the sender of a request may call the method, before anything of its body is read, and their place
    /// while it is.
    pub(crate) async fn admits(&self, method: &str, parts: &Parts) -> Result<Option<Place>, Failure> {
        self.0.admits(method, parts).await
    }
}

impl Service<Request<Body>> for Inside {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.0.clone();
        Box::pin(async move { Ok(server.answer(request).await) })
    }
}
