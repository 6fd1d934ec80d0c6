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

/// Breaks off when not all of it has come in time, however steadily it comes.
pub(crate) struct Prompt<B> {
    body: B,
    left: Pin<Box<Sleep>>,
}

impl<B> Prompt<B> {
    pub(crate) fn new(body: B, limit: Duration) -> Self {
        Self {
            body,
            left: Box::pin(tokio::time::sleep(limit)),
        }
    }
}

impl<B> Body for Prompt<B>
where
    B: Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.left.as_mut().poll(cx).is_ready() && !self.body.is_end_stream() {
            return Poll::Ready(Some(Err(too_slow())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_drips_is_not_waited_for_till_its_end() {
        let second = Duration::from_secs(1);
        let drops = stream::unfold((), move |()| async move {
            tokio::time::sleep(second).await;
            Some((Ok(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let mut body = Prompt::new(StreamBody::new(Box::pin(drops)), second * 10);
        let mut came = 0;
        let status = loop {
            match body.frame().await.unwrap() {
                Ok(_) => came += 1,
                Err(status) => break status,
            }
        };
        assert_eq!(Failure::from(status).code, Code::DeadlineExceeded);
        assert!((9..=10).contains(&came), "{came}");
    }
}
