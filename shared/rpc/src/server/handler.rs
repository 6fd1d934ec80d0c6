//! A generated service without its type, so that a table can hold it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use tonic::body::Body;

pub(crate) type Reply = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

pub(crate) trait Handler: Send + Sync {
    fn call(&self, request: http::Request<Body>) -> Reply;
}

pub(crate) struct Mounted<S>(pub(crate) S);

impl<S> Handler for Mounted<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync,
    S::Future: Send + 'static,
{
    // Generated services are always ready: their poll_ready says so and nothing else.
    fn call(&self, request: http::Request<Body>) -> Reply {
        let reply = self.0.clone().call(request);
        Box::pin(async move {
            match reply.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    }
}
