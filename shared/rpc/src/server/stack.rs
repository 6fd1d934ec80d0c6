//! The order of things for one call: route, admit, deadline, handler in a task of the server, panics caught.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use harombe_error::{Code, Failure, Reason, ServiceError, to_status};
use harombe_types::ServiceName;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tracing::Instrument as _;

use super::admit::{Admitted, Refused, admit};
use super::body::Guarded;
use super::patience::Prompt;
use super::{Inner, Route};
use crate::{Door, Place, TraceContext, timeout, trace};

/// How long a call that anyone may make takes to begin its answer; what it asks is short.
const OPEN: Duration = Duration::from_secs(10);
/// How long all of one message may take to come at a public door.
const ASKED: Duration = Duration::from_secs(30);
/// Where `shared/error` puts the reason.
const DETAILS: &str = "grpc-status-details-bin";

/// What a connection proves about the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It runs in this process, and its composition says who it is.
    InProcess(ServiceName),
    /// It showed the certificate of this service.
    Certified(ServiceName),
    /// Nothing by itself; whatever came with the connection is in the request's extensions.
    Unknown,
}

/// A bug of ours on the call's path.
#[derive(Debug, thiserror::Error)]
#[error("the handler of {method} panicked: {message}")]
pub(crate) struct Panicked {
    pub(crate) method: Box<str>,
    pub(crate) message: String,
}

impl ServiceError for Panicked {
    fn code(&self) -> Code {
        Code::Internal
    }

    fn reason(&self) -> Reason {
        Reason::Internal
    }
}

impl Panicked {
    pub(crate) fn new(method: &str, payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self {
            method: method.into(),
            message: text.unwrap_or("no message").to_owned(),
        }
    }
}

/// Whose call it is, and what it takes up of what its caller may.
struct Holds {
    service: ServiceName,
    _place: Option<Place>,
}

pub(crate) async fn call(server: &Inner, request: Request<Body>, peer: &Peer) -> Response<Body> {
    let begun = Instant::now();
    let path = request.uri().path();
    let Some(route) = server.routes.get(path) else {
        return open(server, request).await;
    };
    let mut counted = route.tally.begin(begun);
    let allowed = timeout::parse(request.headers());
    let deadline = allowed.and_then(|allowed| begun.checked_add(allowed));
    let parent = request.headers().get(trace::HEADER);
    let parent = parent.and_then(|value| TraceContext::parse(value.as_bytes()));
    let trace = trace::incoming(request.headers());
    let span = trace::span_of_call(&route.method.path, trace);
    let work = admitted(server, route, request, peer, deadline);
    let response = trace.scope(work).instrument(span.clone()).await;
    counted.answered(&response);
    // A line for each call, so that a trace can be followed from span to span across processes.
    let parent = parent.map(|parent| tracing::field::display(parent.span_id()));
    span.in_scope(|| tracing::debug!(parent_id = parent, "answered"));
    if route.method.unary || response.headers().contains_key(Status::GRPC_STATUS) {
        return response;
    }
    response.map(|body| {
        let stop = Some(server.tasks.token());
        let body = Guarded::new(body, &route.method.path, deadline, stop);
        Body::new(body.counted(counted).traced(trace, span))
    })
}

async fn admitted(
    server: &Inner,
    route: &Route,
    request: Request<Body>,
    peer: &Peer,
    deadline: Option<Instant>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let Admitted { caller, place } = match admit(server, route, &mut parts, peer).await {
        Ok(admitted) => admitted,
        Err(refused) => return told(server, route, refused).to_status().into_http(),
    };
    let service = caller.service;
    tracing::Span::current().record("caller", service.as_str());
    parts.extensions.insert(caller);
    let body = match server.deps.door {
        Door::Public(_) if route.method.asks_once => Body::new(Prompt::new(body, ASKED)),
        _ => body,
    };
    let holds = Holds {
        service,
        _place: place,
    };
    run(server, route, Request::from_parts(parts, body), deadline, holds).await
}

/// As [`call`] begins, without a call.
pub(crate) async fn admits(server: &Inner, path: &str, parts: &Parts) -> Result<Option<Place>, Failure> {
    let route = server.routes.get(path).ok_or_else(|| {
        let message = "no such method";
        Failure::new(Code::NotFound, Reason::NotFound, message)
    })?;
    let admitted = admit(server, route, &mut parts.clone(), &Peer::Unknown).await;
    let admitted = admitted.map(|admitted| admitted.place);
    admitted.map_err(|refused| told(server, route, refused))
}

/// Leaves a record of a refusal. An authenticator may also fail, and that is nobody's attempt.
fn told(server: &Inner, route: &Route, Refused { caller, failure }: Refused) -> Failure {
    if matches!(failure.code, Code::Unauthenticated | Code::PermissionDenied) {
        let refusals = &server.deps.refusals;
        refusals.refused(caller, &route.method.path, failure.reason);
    }
    failure
}

async fn run(
    server: &Inner,
    route: &Route,
    request: Request<Body>,
    deadline: Option<Instant>,
    holds: Holds,
) -> Response<Body> {
    let work = async {
        if route.method.unary {
            detached(server, route, request, holds).await
        } else {
            let answered = attached(route, request).await;
            drop(holds);
            answered
        }
    };
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, work).await,
        None => Ok(work.await),
    };
    match answered {
        Ok(Ok(response)) => blaming_the_caller(response),
        Ok(Err(status)) => status.into_http(),
        Err(_) => deadline_exceeded().into_http(),
    }
}

/// tonic says INTERNAL (or OUT_OF_RANGE) of a request that it cannot read. Whatever the handler itself says has details.
fn blaming_the_caller(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let code = headers.get(Status::GRPC_STATUS).map(HeaderValue::as_bytes);
    if !matches!(code, Some(b"13" | b"11")) || headers.contains_key(DETAILS) {
        return response;
    }
    let fault = Status::from_header_map(headers);
    let fault = fault.as_ref().map_or("", |status| status.message());
    Failure::new(
        Code::InvalidArgument,
        Reason::InvalidArgument,
        format!("the request cannot be read: {fault}"),
    )
    .to_status()
    .into_http()
}

/// In a task of the server: what a handler has begun it finishes, whether or not somebody still waits for the answer.
async fn detached(
    server: &Inner,
    route: &Route,
    request: Request<Body>,
    holds: Holds,
) -> Result<Response<Body>, Status> {
    let Some(work) = server.room.take(holds.service) else {
        return Err(crowded());
    };
    let reply = route.handler.call(request);
    let handler = async move {
        let response = reply.await;
        drop((work, holds));
        response
    };
    match server.tasks.spawn(handler).await {
        Ok(Some(response)) => Ok(response),
        Ok(None) => Err(stopping()),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Err(to_status(&Panicked::new(&route.method.path, &*payload))),
            Err(_) => Err(stopping()),
        },
    }
}

/// Inside the call: a stream ends with whoever reads it.
async fn attached(route: &Route, request: Request<Body>) -> Result<Response<Body>, Status> {
    let handler = AssertUnwindSafe(async { route.handler.call(request).await });
    let caught = handler.catch_unwind().await;
    caught.map_err(|payload| to_status(&Panicked::new(&route.method.path, &*payload)))
}

async fn open(server: &Inner, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    match server
        .open
        .iter()
        .find(|(prefix, _)| path.starts_with(prefix.as_str()))
    {
        Some((_, handler)) => match tokio::time::timeout(OPEN, handler.call(request)).await {
            Ok(response) => blaming_the_caller(response),
            Err(_) => deadline_exceeded().into_http(),
        },
        None => Status::unimplemented("no such method").into_http(),
    }
}

pub(crate) fn deadline_exceeded() -> Status {
    Failure::new(
        Code::DeadlineExceeded,
        Reason::DeadlineExceeded,
        "the call's deadline passed",
    )
    .to_status()
}

fn crowded() -> Status {
    let mut failure = Failure::new(
        Code::ResourceExhausted,
        Reason::LimitExceeded,
        "too many calls at once",
    );
    failure.retry_after = Some(Duration::from_millis(200));
    failure.to_status()
}

pub(crate) fn stopping() -> Status {
    let mut failure = Failure::new(Code::Unavailable, Reason::Unavailable, "the service is stopping");
    failure.retry_after = Some(Duration::from_millis(200));
    failure.to_status()
}
