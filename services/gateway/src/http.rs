//! The public door: gRPC, gRPC-Web, REST and the interface of `OpenAI`'s SDKs on one port.
//!
//! Every form ends in the same gRPC call to the same server, with the caller's own headers: who it is, what it may do and
//! how much is decided there, once.

mod cors;
mod document;
mod inside;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use harombe_error::{Code, Failure, Reason};
use harombe_rpc::Server;
use harombe_transcode::{HttpError, Table, TableError, Transcoder};
use harombe_types::Clock;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::Public;
use crate::door::{Offered, offered};
use crate::openai::OpenAi;
use cors::Cors;

pub(crate) use inside::Inside;

/// The services that clients reach.
const SERVICES: [&str; 6] = [
    "harombe.agent.v1.AgentService",
    "harombe.agent.v1.KeyService",
    "harombe.agent.v1.PeopleService",
    "harombe.memory.v1.PersonalMemoryService",
    "harombe.hitl.v1.ApprovalService",
    "harombe.audit.v1.AuditService",
];

/// What answers on the public port. Clones are handles to the same door.
#[derive(Clone)]
pub struct PublicDoor(Arc<Inner>);

struct Inner {
    server: Server,
    web: GrpcWebService<Inside>,
    rest: Transcoder<Inside>,
    openai: OpenAi,
    cors: Cors,
    document: Bytes,
}

/// Keys are told apart however they are sent; without one there is at most the owner of the socket.
fn sender(headers: &HeaderMap) -> String {
    match offered(headers) {
        Offered::Key(key) => key.id().to_string(),
        Offered::Nothing | Offered::Other => String::new(),
    }
}

/// The forms in which a request can come.
enum Form {
    Grpc,
    GrpcWeb,
    Health,
    Document,
    OpenAi,
    Rest,
}

impl PublicDoor {
    pub(crate) fn new(server: &Server, public: &Public, clock: Arc<dyn Clock>) -> Result<Self, TableError> {
        let inside = Inside::new(server.clone());
        let keep_alive = Duration::from(public.keep_alive);
        let table = Table::new(harombe_proto::DOCUMENTED, &SERVICES)?;
        let document = document::of(&table).to_string().into();
        Ok(Self(Arc::new(Inner {
            server: server.clone(),
            web: GrpcWebLayer::new().layer(inside.clone()),
            rest: Transcoder::new(Arc::new(table), inside.clone(), sender, keep_alive),
            openai: OpenAi::new(inside, clock, keep_alive)?,
            cors: Cors::new(&public.allowed_origins),
            document,
        })))
    }

    /// The answer to one request, whatever it is.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let cors = &self.0.cors;
        let origin = cors.allowed(request.headers());
        if let Some(origin) = &origin
            && let Some(preflight) = Cors::preflight(origin, &request)
        {
            return preflight;
        }
        let answered = AssertUnwindSafe(self.0.answer(request)).catch_unwind().await;
        let mut response = answered.unwrap_or_else(|_| broken());
        cors.mark(origin, response.headers_mut());
        response
    }
}

impl Inner {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match form(&request) {
            Form::Grpc if request.version() != Version::HTTP_2 => needs_http2(),
            Form::Grpc => self.server.answer(request).await,
            Form::GrpcWeb => match self.web.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Form::Health | Form::Document if request.method() != Method::GET => {
                HttpError::wrong_method(&["GET"]).into_response()
            }
            Form::Health => self.health(),
            Form::Document => json(self.document.clone()),
            Form::OpenAi => self.openai.answer(request).await,
            Form::Rest => self.rest.answer(request).await,
        }
    }

    fn health(&self) -> Response<Body> {
        if self.server.is_serving() {
            json(Bytes::from_static(br#"{"status":"SERVING"}"#))
        } else {
            let failure = Failure::new(Code::Unavailable, Reason::Unavailable, "this gateway is stopping");
            HttpError::from(failure).into_response()
        }
    }
}

fn form(request: &Request<Body>) -> Form {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .map_or(&b""[..], HeaderValue::as_bytes);
    if kind.starts_with(b"application/grpc-web") {
        return Form::GrpcWeb;
    }
    if kind.starts_with(b"application/grpc") {
        return Form::Grpc;
    }
    match request.uri().path() {
        "/healthz" => Form::Health,
        "/openapi.json" => Form::Document,
        "/v1/chat/completions" | "/v1/models" => Form::OpenAi,
        path if path.starts_with("/v1/models/") => Form::OpenAi,
        _ => Form::Rest,
    }
}

fn json(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn needs_http2() -> Response<Body> {
    let mut error =
        HttpError::invalid("gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web or REST, see GET /openapi.json");
    error.status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
    error.into_response()
}

/// A panic of ours; what it was has been printed where it happened.
fn broken() -> Response<Body> {
    tracing::error!("an answer at the public door panicked");
    HttpError::from(Failure::new(Code::Internal, Reason::Internal, "internal error")).into_response()
}

impl Service<Request<Body>> for PublicDoor {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let door = self.clone();
        Box::pin(async move { Ok(door.answer(request).await) })
    }
}
