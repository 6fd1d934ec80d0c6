//! From an HTTP request to the call that it means, and back.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use crate::binding::FieldPath;
use crate::messages::{Messages, framed, request};
use crate::router::Found;
use crate::table::{Operation, Shape, StreamShape, Table};
use crate::template::{Captures, last_name};
use crate::{HttpError, json, stream, transfer};

/// The largest file, in bytes.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Files that are written down at the same time until all of them has come; others wait.
const SPOOLED: usize = 8;

/// Answers HTTP requests by calls to the service behind it.
#[derive(Clone)]
pub struct Transcoder<S> {
    table: Arc<Table>,
    behind: S,
    spools: Arc<Semaphore>,
}

impl<S> Transcoder<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    /// `behind` answers gRPC.
    pub fn new(table: Arc<Table>, behind: S) -> Self {
        Self {
            table,
            behind,
            spools: Arc::new(Semaphore::new(SPOOLED)),
        }
    }

    /// The answer, whatever the request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let answered = self.transcode(request).await;
        answered.unwrap_or_else(HttpError::into_response)
    }

    async fn transcode(&self, received: Request<Body>) -> Result<Response<Body>, HttpError> {
        let (parts, body) = received.into_parts();
        let path = parts.uri.path();
        let (operation, captures) = match self.table.find(&parts.method, path) {
            Found::Operation(operation, captures) => (operation, captures),
            Found::WrongMethod(allowed) => return Err(HttpError::wrong_method(&allowed)),
            Found::Nothing => return Err(HttpError::no_such_path(path)),
        };
        let captures = captures.map_err(|error| HttpError::invalid(error.to_string()))?;
        match &operation.shape {
            Shape::Unary => {
                let message = read(operation, &captures, &parts, body).await?;
                self.unary(operation, &parts, &message).await
            }
            Shape::Stream(shape) => {
                let mut message = read(operation, &captures, &parts, body).await?;
                let resumed = resume(shape, &parts.headers, &mut message)?;
                let messages = self.begin(operation, &parts, &message).await?;
                stream::answer(operation, shape, messages, &parts.headers, resumed).await
            }
            Shape::Download(field) => {
                let message = read(operation, &captures, &parts, body).await?;
                let messages = self.begin(operation, &parts, &message).await?;
                transfer::download(operation, field, messages).await
            }
            Shape::Upload(shape) => {
                let mut start = DynamicMessage::new(operation.input());
                from_path(operation, &captures, &mut start)?;
                from_query(operation, &parts, &mut start)?;
                let upload = transfer::upload(&self.spools, shape, start, &parts.headers, body)?;
                let answer = self
                    .call(request(&operation.rpc, &parts, upload.frames, false))
                    .await;
                let answered = match Messages::of(answer) {
                    Ok(messages) => one(operation, messages).await,
                    Err(failure) => Err(failure.into()),
                };
                // A call that failed for want of its frames failed for the reason why they did not come.
                answered.map_err(|error| upload.fault.get().cloned().unwrap_or(error))
            }
        }
    }

    async fn unary(
        &self,
        operation: &Operation,
        parts: &Parts,
        message: &DynamicMessage,
    ) -> Result<Response<Body>, HttpError> {
        let body = Body::new(http_body_util::Full::new(framed(&message.encode_to_vec())));
        let answer = self.call(request(&operation.rpc, parts, body, true)).await;
        one(operation, Messages::of(answer)?).await
    }

    async fn begin(
        &self,
        operation: &Operation,
        parts: &Parts,
        message: &DynamicMessage,
    ) -> Result<Messages, HttpError> {
        let body = Body::new(http_body_util::Full::new(framed(&message.encode_to_vec())));
        let answer = self.call(request(&operation.rpc, parts, body, false)).await;
        Ok(Messages::of(answer)?)
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        match self.behind.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The request's message from path, query and body.
async fn read(
    operation: &Operation,
    captures: &Captures<'_>,
    parts: &Parts,
    body: Body,
) -> Result<DynamicMessage, HttpError> {
    let mut message = if operation.has_body {
        json::parse(&operation.input(), &json::json_body(&parts.headers, body).await?)?
    } else {
        DynamicMessage::new(operation.input())
    };
    from_query(operation, parts, &mut message)?;
    from_path(operation, captures, &mut message)?;
    Ok(message)
}

fn from_path(
    operation: &Operation,
    captures: &Captures<'_>,
    message: &mut DynamicMessage,
) -> Result<(), HttpError> {
    for (field, (name, text)) in operation.fields.iter().zip(captures) {
        let name = last_name(name);
        if message.has_field(field.field()) {
            let told = format!("{name} is in the path; leave it out of the body");
            return Err(HttpError::invalid(told));
        }
        field
            .set(message, text)
            .map_err(|expected| HttpError::invalid(format!("{name} in the path must be {expected}")))?;
    }
    Ok(())
}

/// Without a body the query sets every field that the path does not.
fn from_query(operation: &Operation, parts: &Parts, message: &mut DynamicMessage) -> Result<(), HttpError> {
    let input = operation.input();
    let mut seen = Vec::new();
    for (name, text) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        let field = parameter(operation, &input, &name).ok_or_else(|| unknown(operation, &input, &name))?;
        if !field.field().is_list() && seen.contains(&field) {
            return Err(HttpError::invalid(format!(
                "the query has {name:?} more than once"
            )));
        }
        field
            .set(message, &text)
            .map_err(|expected| HttpError::invalid(format!("{name} in the query must be {expected}")))?;
        seen.push(field);
    }
    Ok(())
}

fn parameter(operation: &Operation, input: &MessageDescriptor, name: &str) -> Option<FieldPath> {
    if operation.has_body || matches!(operation.shape, Shape::Upload(_)) {
        return None;
    }
    FieldPath::find(input, name).filter(|field| !operation.fields.contains(field))
}

fn unknown(operation: &Operation, input: &MessageDescriptor, name: &str) -> HttpError {
    let names = input.fields().filter_map(|field| {
        let name = field.name().to_owned();
        parameter(operation, input, &name).map(|_| name)
    });
    let names: Vec<_> = names.collect();
    let shown: String = name.chars().take(100).collect();
    HttpError::invalid(if names.is_empty() {
        format!("there is no query parameter {shown:?}; this path has none")
    } else {
        format!(
            "there is no query parameter {shown:?}; there are {}",
            names.join(", ")
        )
    })
}

/// What a client that lost its stream has seen of it: the header that browsers send goes before the query, which stays as
/// it was when the stream was first opened.
fn resume(shape: &StreamShape, headers: &HeaderMap, message: &mut DynamicMessage) -> Result<bool, HttpError> {
    let (Some(after), Some(seen)) = (&shape.after, headers.get("last-event-id")) else {
        return Ok(false);
    };
    let seen = seen.to_str().ok().and_then(|seen| seen.trim().parse().ok());
    let seen =
        seen.ok_or_else(|| HttpError::invalid("last-event-id must be the id of an event of this stream"))?;
    let set = message.try_set_field(after, Value::U64(seen));
    Ok(set.is_ok())
}

/// The one message of an answer, as JSON.
async fn one(operation: &Operation, mut messages: Messages) -> Result<Response<Body>, HttpError> {
    let message = messages.next().await.unwrap_or_else(|| Err(no_sense()))?;
    if let Some(Err(failure)) = messages.next().await {
        return Err(failure.into());
    }
    let message = decoded(operation, message)?;
    let body = json::write(&message).ok_or_else(no_sense)?;
    let mut response = Response::new(Body::new(http_body_util::Full::new(body)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The message that an answer shows.
pub(crate) fn decoded(operation: &Operation, message: Bytes) -> Result<DynamicMessage, Failure> {
    let message = DynamicMessage::decode(operation.descriptor.output(), message).map_err(|_| no_sense())?;
    let Some(field) = &operation.shown else {
        return Ok(message);
    };
    match message.get_field(field).into_owned() {
        Value::Message(shown) => Ok(shown),
        _ => Err(no_sense()),
    }
}

/// The service behind answered what its own descriptors do not describe.
pub(crate) fn no_sense() -> Failure {
    Failure::new(
        Code::Internal,
        Reason::Internal,
        "the answer cannot be shown as JSON",
    )
}
