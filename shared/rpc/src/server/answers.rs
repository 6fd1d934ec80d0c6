//! The answers that are under way on one connection. One that nobody reads is given up, so that whoever asks and never
//! listens keeps neither a call nor a connection.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Status;
use tonic::body::Body;

use super::connections::{InFlight, Seat};

/// Looks at all answers of a connection in the time that one may wait for its reader.
const LOOKS: u32 = 4;
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// Of one connection.
#[derive(Default)]
pub(crate) struct Answers(Mutex<UnderWay>);

#[derive(Default)]
struct UnderWay {
    next: u64,
    answers: HashMap<u64, Arc<Mutex<Answer>>>,
}

/// `body` is `None` once it was given up.
struct Answer {
    body: Option<(Body, InFlight)>,
    /// Since when a piece of it has been waiting to be asked for the next; `None` while the reader waits.
    waiting: Option<Instant>,
}

impl Answers {
    /// The body of an answer; until it is gone, its connection is not idle.
    pub(crate) fn hold(self: &Arc<Self>, body: Body, in_flight: InFlight) -> Held {
        let answer = Arc::new(Mutex::new(Answer {
            body: Some((body, in_flight)),
            waiting: Some(Instant::now()),
        }));
        let mut under_way = self.0.lock();
        let id = under_way.next;
        under_way.next = id.wrapping_add(1);
        under_way.answers.insert(id, Arc::clone(&answer));
        Held {
            answer,
            id,
            answers: Arc::clone(self),
        }
    }

    /// Gives up answers that have waited for their reader for `limit`, or up to a quarter of it longer. Resolves when
    /// nothing else is in flight after that: nobody needs the connection.
    pub(crate) async fn give_up_unread(&self, limit: Duration, seat: &Seat) {
        let mut looks = tokio::time::interval((limit / LOOKS).max(LEAST_PAUSE));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if self.give_up(limit) && seat.is_idle() {
                return;
            }
        }
    }

    /// Whether there were any.
    fn give_up(&self, limit: Duration) -> bool {
        let answers: Vec<_> = self.0.lock().answers.values().map(Arc::clone).collect();
        let given_up = answers.iter().filter_map(|answer| {
            let mut answer = answer.lock();
            let unread = answer.waiting.is_some_and(|since| since.elapsed() >= limit);
            answer.body.take_if(|_| unread)
        });
        // They end here, with no lock held.
        let given_up: Vec<_> = given_up.collect();
        if !given_up.is_empty() {
            tracing::debug!(answers = given_up.len(), "answers that nobody reads are given up");
        }
        !given_up.is_empty()
    }
}

/// An answer's body as HTTP reads it: whenever it can write what it has.
pub(crate) struct Held {
    answer: Arc<Mutex<Answer>>,
    id: u64,
    answers: Arc<Answers>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answers.0.lock().answers.remove(&self.id);
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut answer = self.answer.lock();
        let Some((body, _)) = &mut answer.body else {
            let (code, reason) = (Code::DeadlineExceeded, Reason::DeadlineExceeded);
            let failure = Failure::new(code, reason, "nobody read the answer");
            return Poll::Ready(Some(Err(failure.to_status())));
        };
        let polled = Pin::new(body).poll_frame(cx);
        answer.waiting = polled.is_ready().then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        let answer = self.answer.lock();
        answer.body.as_ref().is_some_and(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let answer = self.answer.lock();
        let body = answer.body.as_ref();
        body.map_or_else(SizeHint::default, |(body, _)| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(120);

    fn piece() -> Result<Frame<Bytes>, Status> {
        Ok(Frame::data(Bytes::from_static(b"x")))
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_waits_for_its_reader_is_given_up() {
        let (answers, seat) = (
            Arc::new(Answers::default()),
            Arc::new(Seat::new(Instant::now(), Arc::default())),
        );
        let endless = || Body::new(StreamBody::new(stream::repeat_with(piece)));
        let silent = Body::new(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Status>>()));
        let mut silent = answers.hold(silent, seat.begin());
        let mut read = answers.hold(endless(), seat.begin());
        let mut unread = answers.hold(endless(), seat.begin());
        let never = answers.hold(endless(), seat.begin());
        unread.frame().await.unwrap().unwrap();
        assert!(futures_util::poll!(silent.frame()).is_pending());
        for _ in 0..4 {
            read.frame().await.unwrap().unwrap();
            assert!(!answers.give_up(LIMIT));
            tokio::time::advance(LIMIT / 4).await;
        }
        assert!(answers.give_up(LIMIT));
        assert!(!answers.give_up(LIMIT));
        assert!(unread.frame().await.unwrap().is_err());
        read.frame().await.unwrap().unwrap();
        assert!(futures_util::poll!(silent.frame()).is_pending());

        // Two are in flight still; without them the connection is nobody's.
        let watch = answers.give_up_unread(LIMIT, &seat);
        tokio::pin!(watch);
        assert!(!seat.is_idle());
        drop((silent, never, unread));
        watch.await;
        assert!(seat.is_idle());
        drop(read);
        assert!(answers.0.lock().answers.is_empty());
    }
}
