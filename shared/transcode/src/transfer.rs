//! Files as raw bodies, streamed in both directions; what must be known of an upload beforehand is found out on disk.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt as _};
use harombe_error::{Code, Failure, Reason};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tonic::body::Body;

use crate::HttpError;
use crate::messages::{Messages, Outgoing, framed};
use crate::spools::{Spooling, Spools};
use crate::table::{Operation, UploadShape};
use crate::transcoder::{MAX_FILE, no_sense};

/// Bytes of a file in one message.
const PART: usize = 256 * 1024;
/// How long a client may send nothing of its file.
const PAUSE: Duration = Duration::from_secs(30);
/// How long all of it may take: 64 MiB at 1 Mbit/s.
const WHOLE: Duration = Duration::from_secs(9 * 60);

/// The service must know size and digest before the first byte. They are found by writing the body to a file without a
/// name, so that memory holds a part at a time; and only once the service reads, so that a caller who is refused has
/// written nothing.
pub(crate) fn upload(
    from: (Spools, String),
    shape: &UploadShape,
    start: DynamicMessage,
    headers: &HeaderMap,
    body: Body,
) -> Result<Outgoing, HttpError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_FILE) {
        return Err(HttpError::too_large(MAX_FILE));
    }
    let incoming = Incoming {
        expected: expected_digest(headers)?,
        from,
        shape: shape.clone(),
        start,
        body,
    };
    Ok(Outgoing::when_read(incoming.frames()))
}

struct Incoming {
    expected: Option<Bytes>,
    /// Where it is written, and for whom.
    from: (Spools, String),
    shape: UploadShape,
    start: DynamicMessage,
    body: Body,
}

impl Incoming {
    async fn frames(mut self) -> Result<impl Stream<Item = io::Result<Frame<Bytes>>>, HttpError> {
        let (spools, sender) = &self.from;
        let place = spools.place(sender).await?;
        let spooled = tokio::time::timeout(WHOLE, spool(self.body)).await;
        let spooled = spooled.map_err(|_| HttpError::slow(WHOLE))??;
        if self.expected.is_some_and(|expected| expected != spooled.sha256) {
            return Err(HttpError::invalid(
                "the body does not have the digest that its header gives",
            ));
        }
        if let Value::Message(facts) = self.start.get_field_mut(&self.shape.start) {
            let size = facts.try_set_field(&self.shape.size, Value::U64(spooled.size));
            let digest = facts.try_set_field(&self.shape.sha256, Value::Bytes(spooled.sha256));
            size.and(digest).map_err(|_| no_sense())?;
        }
        let first = framed(&self.start.encode_to_vec());
        let first = stream::once(std::future::ready(Ok(Frame::data(first))));
        Ok(first.chain(parts(self.shape.data, spooled.file, place)))
    }
}

struct Spooled {
    file: File,
    size: u64,
    sha256: Bytes,
}

async fn spool(mut body: Body) -> Result<Spooled, HttpError> {
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await;
    let file = file
        .map_err(|error| unwritable(&error))?
        .map_err(|error| unwritable(&error))?;
    let mut file = File::from_std(file);
    let (mut size, mut hash) = (0_u64, Sha256::new());
    loop {
        let frame = tokio::time::timeout(PAUSE, body.frame()).await;
        let Some(frame) = frame.map_err(|_| HttpError::slow(PAUSE))? else {
            break;
        };
        let frame = frame.map_err(|_| HttpError::invalid("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if size > MAX_FILE {
            return Err(HttpError::too_large(MAX_FILE));
        }
        hash.update(&data);
        file.write_all(&data).await.map_err(|error| unwritable(&error))?;
    }
    file.flush().await.map_err(|error| unwritable(&error))?;
    file.seek(SeekFrom::Start(0))
        .await
        .map_err(|error| unwritable(&error))?;
    Ok(Spooled {
        file,
        size,
        sha256: Bytes::copy_from_slice(&hash.finalize()),
    })
}

/// The file, a part at a time.
fn parts(data: FieldDescriptor, file: File, place: Spooling) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::unfold((file, data, place), |(mut file, data, place)| async {
        let mut part = BytesMut::with_capacity(PART);
        let frame = match file.read_buf(&mut part).await {
            Ok(0) => return None,
            Ok(_) => {
                let mut message = DynamicMessage::new(data.parent_message().clone());
                let set = message.try_set_field(&data, Value::Bytes(part.freeze()));
                set.map(|()| Frame::data(framed(&message.encode_to_vec())))
                    .map_err(io::Error::other)
            }
            Err(error) => Err(error),
        };
        Some((frame, (file, data, place)))
    })
}

/// The SHA-256 that a client gives its body (RFC 9530).
fn expected_digest(headers: &HeaderMap) -> Result<Option<Bytes>, HttpError> {
    let Some(header) = headers
        .get("repr-digest")
        .or_else(|| headers.get("content-digest"))
    else {
        return Ok(None);
    };
    let wrong = || HttpError::invalid("the digest header must be like `sha-256=:BASE64:` (RFC 9530)");
    let text = header.to_str().map_err(|_| wrong())?;
    let member = text
        .split(',')
        .find_map(|member| member.trim().strip_prefix("sha-256="));
    let encoded = member
        .and_then(|value| value.strip_prefix(':')?.strip_suffix(':'))
        .ok_or_else(wrong)?;
    let digest = STANDARD.decode(encoded).map_err(|_| wrong())?;
    Ok(Some(digest.into()))
}

fn unwritable(error: &dyn std::fmt::Display) -> HttpError {
    tracing::error!(%error, "an upload cannot be written to a temporary file");
    let mut failure = Failure::new(
        Code::Unavailable,
        Reason::StoreUnavailable,
        "the upload cannot be written down; try again later",
    );
    failure.retry_after = Some(Duration::from_secs(5));
    failure.into()
}

/// The bytes as they come. The status line waits for the first of them, so that a refusal has its own.
pub(crate) async fn download(
    operation: &Operation,
    field: &FieldDescriptor,
    mut messages: Messages,
) -> Result<Response<Body>, HttpError> {
    let first = messages.next().await.transpose()?;
    let mut bytes = Downloaded {
        operation: operation.clone(),
        field: field.clone(),
        first: None,
        messages,
    };
    bytes.first = first.map(|message| bytes.part(message)).transpose()?;
    let mut response = Response::new(Body::new(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What an agent wrote is never a page of ours.
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

struct Downloaded {
    operation: Operation,
    field: FieldDescriptor,
    first: Option<Bytes>,
    messages: Messages,
}

impl Downloaded {
    fn part(&self, message: Bytes) -> Result<Bytes, Failure> {
        let message =
            DynamicMessage::decode(self.operation.descriptor.output(), message).map_err(|_| no_sense())?;
        match message.get_field(&self.field).into_owned() {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(no_sense()),
        }
    }
}

impl http_body::Body for Downloaded {
    type Data = Bytes;
    type Error = Failure;

    /// A failure after the first byte breaks the body off, so that nobody takes a part for the whole.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let next = ready!(self.messages.poll_next(cx));
        Poll::Ready(next.map(|message| message.and_then(|message| self.part(message)).map(Frame::data)))
    }
}
