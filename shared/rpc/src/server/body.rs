//! A streamed body that ends properly: at its deadline, when the service stops, and when its handler panics.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use harombe_error::to_status;
use harombe_telemetry::TraceContext;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tracing::Span;

use super::stack::{Panicked, deadline_exceeded, stopping};
use super::tally::Counted;
use crate::channel::lost;

/// Adds the endings to a body; each is a gRPC status in the trailers, as if the handler had sent it.
pub(crate) struct Guarded {
    /// `None` once the body has ended; the handler's stream is dropped with it.
    body: Option<Body>,
    method: Box<str>,
    deadline: Option<Pin<Box<Sleep>>>,
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    peer: Option<Arc<str>>,
    counted: Option<Counted>,
    traced: Option<(TraceContext, Span)>,
}

impl Guarded {
    pub(crate) fn new(
        body: Body,
        method: &str,
        deadline: Option<Instant>,
        stop: Option<CancellationToken>,
    ) -> Self {
        Self {
            body: Some(body),
            method: method.into(),
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
            stop: stop.map(|token| Box::pin(token.cancelled_owned())),
            peer: None,
            counted: None,
            traced: None,
        }
    }

    /// A call that ends with this body.
    pub(crate) fn counted(mut self, counted: Counted) -> Self {
        self.counted = Some(counted);
        self
    }

    /// A body that breaks off because its connection was lost says that `peer` cannot be reached.
    pub(crate) fn lost_as(mut self, peer: Arc<str>) -> Self {
        self.peer = Some(peer);
        self
    }

    /// What makes the body is a part of this trace, and its log lines are in this span.
    pub(crate) fn traced(mut self, trace: TraceContext, span: Span) -> Self {
        self.traced = Some((trace, span));
        self
    }

    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.body = None;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(match status.add_header(&mut trailers) {
            Ok(()) => {
                self.tell(&trailers);
                Ok(Frame::trailers(trailers))
            }
            Err(status) => Err(status),
        }))
    }

    fn tell(&mut self, trailers: &HeaderMap) {
        if let Some(counted) = &mut self.counted {
            counted.ended_with(trailers);
        }
    }
}

fn is_over(timer: Option<&mut Pin<Box<impl Future<Output = ()>>>>, cx: &mut Context<'_>) -> bool {
    timer.is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = this.body.as_mut() else {
            return Poll::Ready(None);
        };
        let poll = AssertUnwindSafe(|| Pin::new(body).poll_frame(cx));
        let polled = match &this.traced {
            Some((trace, span)) => span.in_scope(|| trace.within(|| std::panic::catch_unwind(poll))),
            None => std::panic::catch_unwind(poll),
        };
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(None)) => {
                this.body = None;
                return Poll::Ready(None);
            }
            Ok(Poll::Ready(Some(Err(status)))) => {
                let Some(peer) = this.peer.clone() else {
                    return Poll::Ready(Some(Err(status)));
                };
                tracing::debug!(%status, peer = &*peer, "a stream broke off");
                return this.end(&lost(&peer));
            }
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.tell(trailers);
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Err(payload) => {
                let status = to_status(&Panicked::new(&this.method, &*payload));
                return this.end(&status);
            }
        }
        if is_over(this.deadline.as_mut(), cx) {
            return this.end(&deadline_exceeded());
        }
        if is_over(this.stop.as_mut(), cx) {
            return this.end(&stopping());
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
