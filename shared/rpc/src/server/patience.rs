//! A request's body that must not keep its reader waiting for ever.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;
use tonic::Status;

/// Breaks off when a reader has waited for the next frame for longer than the limit.
pub(crate) struct Patient {
    body: Incoming,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    pub(crate) fn new(body: Incoming, limit: Duration) -> Self {
        Self {
            body,
            limit,
            waiting: None,
        }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken_off(&error))));
        }
        let limit = this.limit;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        waiting.as_mut().poll(cx).map(|()| Some(Err(too_slow())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken_off(error: &hyper::Error) -> Status {
    tracing::debug!(%error, "a request's body broke off");
    Failure::new(
        Code::InvalidArgument,
        Reason::InvalidArgument,
        "the request's body broke off",
    )
    .to_status()
}

fn too_slow() -> Status {
    Failure::new(
        Code::DeadlineExceeded,
        Reason::DeadlineExceeded,
        "the request's body did not come in time",
    )
    .to_status()
}
