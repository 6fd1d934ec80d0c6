//! Streams as server-sent events or lines of JSON: one message of the service at a time, as fast as the client reads.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use harombe_error::Failure;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage as _};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;

use crate::messages::Messages;
use crate::table::{Operation, StreamShape};
use crate::transcoder::{decoded, no_sense};
use crate::{HttpError, json};

/// How long the status line waits for the first message, so that a refusal that comes as one has its own status.
const FIRST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Events,
    Lines,
}

impl Format {
    fn asked(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        if accept.is_some_and(|accept| accept.contains("application/x-ndjson")) {
            Self::Lines
        } else {
            Self::Events
        }
    }

    const fn content_type(self) -> HeaderValue {
        match self {
            Self::Events => HeaderValue::from_static("text/event-stream"),
            Self::Lines => HeaderValue::from_static("application/x-ndjson"),
        }
    }
}

/// The answer that shows the stream. `resumed`: the client says what it has seen of it before.
pub(crate) async fn answer(
    operation: &Operation,
    shape: &StreamShape,
    mut messages: Messages,
    headers: &HeaderMap,
    resumed: bool,
    keep_alive: Duration,
) -> Result<Response<Body>, HttpError> {
    let format = Format::asked(headers);
    let first = match tokio::time::timeout(FIRST, messages.next()).await {
        Ok(Some(Ok(message))) => Some(message),
        Ok(Some(Err(failure))) => return Err(failure.into()),
        // Told so, a browser does not open the stream again.
        Ok(None) if resumed && format == Format::Events => return Ok(nothing_more()),
        Ok(None) | Err(_) => None,
    };
    let mut shown = Shown {
        operation: operation.clone(),
        cursor: shape.cursor.clone(),
        format,
        messages: Some(messages),
        first: None,
        silence: Box::pin(tokio::time::sleep(keep_alive)),
        keep_alive,
    };
    shown.first = first.map(|message| shown.write(message)).transpose()?;
    let mut response = Response::new(Body::new(shown));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that would keep events until they have many of them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn nothing_more() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A body that is read from the service only when the client reads, and ends the call when it is dropped.
struct Shown {
    operation: Operation,
    cursor: Option<FieldDescriptor>,
    format: Format,
    /// `None` once the stream has ended.
    messages: Option<Messages>,
    first: Option<Bytes>,
    silence: Pin<Box<Sleep>>,
    keep_alive: Duration,
}

impl Shown {
    fn write(&self, message: Bytes) -> Result<Bytes, Failure> {
        let message = decoded(&self.operation, message)?;
        let text = json::write(&message).ok_or_else(no_sense)?;
        if self.format == Format::Lines {
            return Ok([&text, "\n".as_bytes()].concat().into());
        }
        let mut out = BytesMut::with_capacity(text.len() + 64);
        if let Some(cursor) = &self.cursor {
            let cursor = message.get_field(cursor).as_u64().unwrap_or_default();
            out.put_slice(format!("id: {cursor}\n").as_bytes());
        }
        out.put_slice(format!("event: {}\ndata: ", event_name(&message)).as_bytes());
        out.put_slice(&text);
        out.put_slice(b"\n\n");
        Ok(out.freeze())
    }

    fn heard(&mut self) {
        let silent = Instant::now() + self.keep_alive;
        self.silence.as_mut().reset(silent);
    }

    fn write_failure(&self, failure: Failure) -> Bytes {
        let error = HttpError::from(failure).json();
        match self.format {
            Format::Events => format!("event: error\ndata: {error}\n\n").into(),
            Format::Lines => format!("{error}\n").into(),
        }
    }
}

impl http_body::Body for Shown {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        let Poll::Ready(next) = messages.poll_next(cx) else {
            if self.format == Format::Lines {
                return Poll::Pending;
            }
            ready!(self.silence.as_mut().poll(cx));
            self.heard();
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": keep-alive\n\n")))));
        };
        self.heard();
        let written = match next {
            Some(message) => message.and_then(|message| self.write(message)),
            None => {
                self.messages = None;
                return Poll::Ready(None);
            }
        };
        let data = written.unwrap_or_else(|failure| {
            self.messages = None;
            self.write_failure(failure)
        });
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

/// What an event is called: the member of the message's oneof that is set, or the message itself.
fn event_name(message: &DynamicMessage) -> String {
    let descriptor = message.descriptor();
    let member = descriptor
        .oneofs()
        .find(|oneof| !oneof.is_synthetic())
        .and_then(|oneof| {
            let set = oneof.fields().find(|field| message.has_field(field));
            set.map(|field| field.name().to_owned())
        });
    member.unwrap_or_else(|| snake_case(descriptor.name()))
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
