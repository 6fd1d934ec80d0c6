//! The gRPC wire in process: requests framed as it wants them, and the messages and status of an answer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::stream::{self, Stream, TryStreamExt as _};
use harombe_error::{Code, Failure, Reason};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use http_body::{Body as _, Frame};
use http_body_util::{Full, StreamBody};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;
use tonic::body::Body;
use tonic::{Code as GrpcCode, Status};

use crate::HttpError;

/// The largest message that is taken from behind, in bytes: what gRPC clients take by default.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
const PREFIX: usize = 5;

/// Headers of a caller that mean the same in every form of a call: who it is, and how long it waits.
const PASSED: [HeaderName; 3] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("grpc-timeout"),
];

/// How long a unary call may take when the caller does not say.
const UNARY_TIMEOUT: HeaderValue = HeaderValue::from_static("30S");

/// The gRPC request that a caller's HTTP request became. Extensions, which hold what the connection proves, go along.
pub(crate) fn request(path: &str, from: &http::request::Parts, body: Body, unary: bool) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = Version::HTTP_2;
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    for name in PASSED {
        if let Some(value) = from.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if unary && !headers.contains_key("grpc-timeout") {
        headers.insert("grpc-timeout", UNARY_TIMEOUT);
    }
    *request.extensions_mut() = from.extensions.clone();
    request
}

/// A message with the prefix that it has on the wire.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// What a call sends, and why there was no more of it.
pub(crate) struct Outgoing {
    pub(crate) frames: Body,
    pub(crate) fault: Fault,
}

/// Why frames did not come; empty while nothing is wrong with them.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<OnceLock<HttpError>>);

impl Fault {
    /// Why a call failed: if its frames did not come, for that reason, whatever the service made of it.
    pub(crate) fn or(&self, error: HttpError) -> HttpError {
        self.0.get().cloned().unwrap_or(error)
    }
}

impl Outgoing {
    /// One message that is there.
    pub(crate) fn message(message: &DynamicMessage) -> Self {
        Self {
            frames: Body::new(Full::new(framed(&message.encode_to_vec()))),
            fault: Fault::default(),
        }
    }

    /// Frames that are made only once the service reads them. A service reads nothing of a caller whom it refuses, so
    /// such a caller fills neither memory nor disk.
    pub(crate) fn when_read<F, S>(making: F) -> Self
    where
        F: Future<Output = Result<S, HttpError>> + Send + 'static,
        S: Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static,
    {
        let fault = Fault::default();
        let found = fault.clone();
        let frames = stream::once(async move {
            match making.await {
                Ok(frames) => Ok(frames.map_err(|error| Status::from_error(error.into()))),
                Err(error) => {
                    // The service counts it as what it is.
                    let status = error.failure.to_status();
                    found.0.get_or_init(|| error);
                    Err(status)
                }
            }
        });
        let frames = Body::new(StreamBody::new(frames.try_flatten()));
        Self { frames, fault }
    }
}

/// The messages of a gRPC answer, one by one, until its status.
pub(crate) struct Messages {
    body: Body,
    buffer: BytesMut,
    ended: bool,
}

impl Messages {
    /// # Errors
    /// The call was refused before its first message.
    pub(crate) fn of(response: Response<Body>) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        if let Some(failure) = failure(&parts.headers) {
            return Err(failure);
        }
        Ok(Self {
            body,
            buffer: BytesMut::new(),
            ended: parts.headers.contains_key("grpc-status"),
        })
    }

    /// The next message; `None` once the call has ended well.
    ///
    /// # Errors
    /// The call has ended otherwise; nothing comes after it.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match self.take() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) if self.ended => return Poll::Ready(None),
                Ok(None) => {}
                Err(failure) => return self.end(failure),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        match failure(&trailers) {
                            Some(failure) => return self.end(failure),
                            None => self.ended = true,
                        }
                    }
                },
                Some(Err(status)) => return self.end(Failure::from(&status)),
                None => return self.end(broken_off()),
            }
        }
    }

    fn end(&mut self, failure: Failure) -> Poll<Option<Result<Bytes, Failure>>> {
        self.ended = true;
        self.buffer.clear();
        self.body = Body::empty();
        Poll::Ready(Some(Err(failure)))
    }

    fn take(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((prefix, _)) = self.buffer.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let [compressed, length @ ..] = *prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if compressed != 0 || length > MAX_MESSAGE {
            return Err(broken_off());
        }
        if self.buffer.len() - PREFIX < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

fn failure(headers: &HeaderMap) -> Option<Failure> {
    let status = Status::from_header_map(headers)?;
    (status.code() != GrpcCode::Ok).then(|| Failure::from(&status))
}

fn broken_off() -> Failure {
    Failure::new(Code::Unavailable, Reason::Unavailable, "the answer broke off")
}
