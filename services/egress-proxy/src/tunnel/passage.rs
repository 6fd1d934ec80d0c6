//! Passes one request of a service on to an upstream, and the answer back, as they come.

use std::io::Cursor;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, DuplexStream};
use tokio::time::timeout;

use crate::Error;
use crate::domain::upstream::{Framing, Unfit, check_head};
use crate::tunnel::admission::Admission;
use crate::tunnel::http::one_request;
use crate::tunnel::record::{Attempt, Tally};
use crate::tunnel::slot::{Ended, Slot};
use crate::tunnel::{HEAD, HEAD_BYTES, Record, Whom};
use crate::upstream::{Body, Progress, Upstream};

type Answer = http::Response<UnsyncBoxBody<Bytes, Ended>>;

/// Serves one request and its answer.
///
/// # Errors
/// The request is refused, its credential cannot be had, or the exchange with the upstream failed.
pub(super) async fn serve(
    io: DuplexStream,
    whom: &Whom,
    upstream: Arc<Upstream>,
    admission: &Admission,
) -> Result<(), Error> {
    let (mut read, write) = tokio::io::split(io);
    let head = timeout(HEAD, read_head(&mut read))
        .await
        .map_err(|_| Error::Request)?;
    let head = match head? {
        Ok(head) => head,
        Err(framing) => {
            let attempt = Attempt::upstream(&upstream.name);
            return Err(admission.refuse(whom, &attempt, Unfit::Frame(framing)).await);
        }
    };
    let passage = Passage {
        whom,
        upstream: &upstream,
        admission,
        slot: Slot::default(),
        record: Mutex::default(),
    };
    let io = tokio::io::join(Cursor::new(head).chain(read), write);
    let service = service_fn(|request| passage.answer(request));
    let served = one_request().serve_connection(TokioIo::new(io), service).await;
    let Passage { slot, record, .. } = passage;
    let record = record.into_inner();
    let outcome = match (slot.take(), served) {
        (Some(error), _) => Err(error),
        (None, Ok(())) if record.is_some() => Ok(()),
        (None, _) => Err(Error::Request),
    };
    if let Some(mut record) = record {
        record.close(outcome.as_ref().err());
    }
    outcome
}

/// Reads until a head is whole, and checks it. What was read beyond it comes along.
async fn read_head(mut from: impl AsyncRead + Unpin) -> Result<Result<BytesMut, Framing>, Error> {
    let mut head = BytesMut::with_capacity(4096);
    loop {
        if let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
            let checked = check_head(head.get(..end + 4).unwrap_or_default());
            return Ok(checked.map(|()| head));
        }
        // A head whose lines end otherwise would never be whole.
        let mut feeds = memchr::memchr_iter(b'\n', &head);
        let lone = |at: usize| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r');
        if feeds.any(lone) || head.len() > HEAD_BYTES {
            return Ok(Err(Framing::LineEnd));
        }
        match from.read_buf(&mut head).await {
            Ok(0) | Err(_) => return Err(Error::Request),
            Ok(_) => {}
        }
    }
}

struct Passage<'a> {
    whom: &'a Whom,
    upstream: &'a Upstream,
    admission: &'a Admission,
    slot: Slot,
    /// From the moment that the decision is recorded.
    record: Mutex<Option<Record>>,
}

impl Passage<'_> {
    async fn answer(&self, request: http::Request<Incoming>) -> Result<Answer, Ended> {
        self.pass(request).await.map_err(|error| self.slot.end(error))
    }

    async fn pass(&self, request: http::Request<Incoming>) -> Result<Answer, Error> {
        let (parts, body) = request.into_parts();
        let attempt = Attempt::upstream(&self.upstream.name).asking(parts.method.as_str(), parts.uri.path());
        if body.size_hint().lower() > self.upstream.max_request {
            return Err(Error::TooLong);
        }
        let tally = Tally::default();
        let body = Limited {
            inner: body,
            left: self.upstream.max_request,
            slot: self.slot.clone(),
            progress: tally.sent.clone(),
        };
        let body = body.map_err(Into::into).boxed_unsync();
        let request = match self
            .upstream
            .request(parts.method, &parts.uri, &parts.headers, body)
        {
            Ok(request) => request,
            Err(unfit) => return Err(self.admission.refuse(self.whom, &attempt, unfit).await),
        };
        let shown = self.admission.shown(self.whom, &attempt, self.upstream).await?;
        let mut record = self.admission.ask(self.whom, &attempt, self.upstream).await?;
        let tally = record.counts(tally);
        *self.record.lock() = Some(record);
        let answer = self.upstream.send(request, shown, &tally.sent).await;
        let answer = answer.map_err(Error::Service)?;
        tally.status.store(answer.status.as_u16(), Ordering::Relaxed);
        let mut response = http::Response::new(stream_body(answer.body, tally, self.slot.clone()));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.fields;
        Ok(response)
    }
}

fn stream_body(body: Body, tally: Arc<Tally>, slot: Slot) -> UnsyncBoxBody<Bytes, Ended> {
    let pieces = stream::try_unfold((body, tally, slot), |(mut body, tally, slot)| async move {
        let piece = body
            .next()
            .await
            .map_err(|error| slot.end(Error::Service(error)))?;
        Ok(piece.map(|data| {
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            tally.received.fetch_add(length, Ordering::Relaxed);
            (Frame::data(data), (body, tally, slot))
        }))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// A request's body within its bound. It keeps its announced length, and loses its trailers.
struct Limited {
    inner: Incoming,
    left: u64,
    slot: Slot,
    progress: Progress,
}

impl hyper::body::Body for Limited {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            None => return Poll::Ready(None),
            // The caller broke off, or framed its body wrongly.
            Some(Err(_)) => return Poll::Ready(Some(Err(self.slot.end(Error::Request)))),
            Some(Ok(frame)) => frame,
        };
        let Ok(data) = frame.into_data() else {
            return Poll::Ready(None);
        };
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(length) else {
            return Poll::Ready(Some(Err(self.slot.end(Error::TooLong))));
        };
        self.left = left;
        self.progress.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
