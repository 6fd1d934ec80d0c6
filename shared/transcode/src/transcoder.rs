//! From an HTTP request to the call that it means, and back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use crate::binding::FieldPath;
use crate::messages::{Messages, Outgoing, framed, request};
use crate::router::Found;
use crate::spools::Spools;
use crate::table::{Operation, Shape, StreamShape, Table};
use crate::{HttpError, json, stream, transfer};

/// The largest file, in bytes.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Who sends a request, by its headers: whoever lets them in tells the same from the same headers.
pub type Sender = fn(&HeaderMap) -> String;

/// Answers HTTP requests by calls to the service behind it.
#[derive(Clone)]
pub struct Transcoder<S> {
    table: Arc<Table>,
    behind: S,
    spools: Spools,
    sender: Sender,
    keep_alive: Duration,
}

impl<S> Transcoder<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    /// `behind` answers gRPC. Each `sender` has few uploads at once. After `keep_alive` of silence a comment shows that a
    /// stream of events is alive.
    pub fn new(table: Arc<Table>, behind: S, sender: Sender, keep_alive: Duration) -> Self {
        Self {
            table,
            behind,
            spools: Spools::new(),
            sender,
            keep_alive,
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
        let values = captures.into_iter().map(|(_, value)| value).collect();
        let seen = match &operation.shape {
            Shape::Stream(shape) => seen(shape, &parts.headers)?,
            _ => None,
        };
        let Outgoing { frames, fault } = self.outgoing(operation, values, seen, &parts, body)?;
        let unary = matches!(operation.shape, Shape::Unary);
        let answer = self.call(request(&operation.rpc, &parts, frames, unary)).await;
        let answered = async {
            let messages = Messages::of(answer)?;
            match &operation.shape {
                Shape::Unary | Shape::Upload(_) => one(operation, messages).await,
                Shape::Stream(shape) => {
                    let resumed = seen.is_some();
                    stream::answer(
                        operation,
                        shape,
                        messages,
                        &parts.headers,
                        resumed,
                        self.keep_alive,
                    )
                    .await
                }
                Shape::Download(field) => transfer::download(operation, field, messages).await,
            }
        };
        answered.await.map_err(|error| fault.or(error))
    }

    /// What the call sends. What is wrong with path, query and headers is said at once, and of the body nothing is read
    /// before the service wants it.
    fn outgoing(
        &self,
        operation: &Operation,
        values: Vec<String>,
        seen: Option<u64>,
        parts: &Parts,
        body: Body,
    ) -> Result<Outgoing, HttpError> {
        let mut message = DynamicMessage::new(operation.input());
        from_query(operation, parts, &mut message)?;
        from_path(operation, &values, &mut message)?;
        go_on(operation, seen, &mut message);
        if let Shape::Upload(shape) = &operation.shape {
            let from = (self.spools.clone(), (self.sender)(&parts.headers));
            return transfer::upload(from, shape, message, &parts.headers, body);
        }
        if !operation.has_body {
            return Ok(Outgoing::message(&message));
        }
        let (operation, headers) = (operation.clone(), parts.headers.clone());
        Ok(Outgoing::when_read(async move {
            let body = json::json_body(&headers, body).await?;
            let mut message = json::parse(&operation.input(), &body)?;
            not_twice(&operation, &message)?;
            from_path(&operation, &values, &mut message)?;
            go_on(&operation, seen, &mut message);
            let frame = Frame::data(framed(&message.encode_to_vec()));
            Ok(futures_util::stream::once(std::future::ready(Ok(frame))))
        }))
    }

    async fn call(&self, request: Request<Body>) -> Response<Body> {
        match self.behind.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn from_path(
    operation: &Operation,
    values: &[String],
    message: &mut DynamicMessage,
) -> Result<(), HttpError> {
    for (field, text) in operation.fields.iter().zip(values) {
        field.set(message, text).map_err(|expected| {
            let name = field.field().name();
            HttpError::invalid(format!("{name} in the path must be {expected}"))
        })?;
    }
    Ok(())
}

/// What the path says the body leaves out.
fn not_twice(operation: &Operation, message: &DynamicMessage) -> Result<(), HttpError> {
    let mut fields = operation.fields.iter().map(FieldPath::field);
    match fields.find(|field| message.has_field(field)) {
        Some(field) => {
            let told = format!("{} is in the path; leave it out of the body", field.name());
            Err(HttpError::invalid(told))
        }
        None => Ok(()),
    }
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

/// What a client that lost its stream has seen of it.
fn seen(shape: &StreamShape, headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let (Some(_), Some(seen)) = (&shape.after, headers.get("last-event-id")) else {
        return Ok(None);
    };
    let seen = seen.to_str().ok().and_then(|seen| seen.trim().parse().ok());
    seen.map(Some)
        .ok_or_else(|| HttpError::invalid("last-event-id must be the id of an event of this stream"))
}

/// The header that browsers send goes before the query, which stays as it was when the stream was first opened.
fn go_on(operation: &Operation, seen: Option<u64>, message: &mut DynamicMessage) {
    if let (
        Shape::Stream(StreamShape {
            after: Some(after), ..
        }),
        Some(seen),
    ) = (&operation.shape, seen)
    {
        // It is a number: the table has looked.
        let _ = message.try_set_field(after, Value::U64(seen));
    }
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
