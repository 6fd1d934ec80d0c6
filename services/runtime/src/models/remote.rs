//! A model of a provider: asks it, reads its stream, and tries again where that may help and the run can afford it.
//!
//! A stream that broke brought nothing: its text is superseded by the next attempt's, which listeners are told, and none of
//! its calls was made, because a response is acted on only once it is whole.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::fault::{Again, Fault};
use super::http::{Endpoint, Stream};
use super::sse;
use crate::domain::model::{Delta, Model, ModelError, Piece, Request, Response, Unanswered, Usage};

/// The first pause before another attempt; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How one kind of provider is asked, and how it answers.
pub(super) trait Provider: fmt::Debug + Send + Sync {
    /// Reads one response.
    type Reader: Reader;

    /// Below the upstream's own path.
    const PATH: &'static str;

    /// Header fields besides those that every request has.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// The request's body.
    fn body(&self, request: &Request<'_>) -> serde_json::Value;

    /// For the answer to a request.
    fn reader(&self) -> Self::Reader;
}

/// Puts a response together from a stream's events.
pub(super) trait Reader: Send {
    /// Takes in one event; true when nothing follows it.
    ///
    /// # Errors
    /// The stream cannot be gone on with.
    fn event(&mut self, event: &sse::Event, delta: Delta<'_>) -> Result<bool, Fault>;

    /// What the provider has said that the response costs.
    fn usage(&self) -> Usage;

    /// The response, once the stream has ended.
    ///
    /// # Errors
    /// The stream ended too early.
    fn finish(self) -> Result<Response, Fault>;
}

/// A provider's model.
#[derive(Debug)]
pub(super) struct Remote<P> {
    /// Of which kind.
    pub provider: P,
    /// Where.
    pub endpoint: Endpoint,
    /// Attempts for one response, at least one.
    pub attempts: u32,
}

impl<P: Provider> Remote<P> {
    async fn attempt(&self, request: &Request<'_>, body: Bytes, delta: Delta<'_>) -> Result<Response, Fault> {
        let mut stream = self
            .endpoint
            .post(request.token, P::PATH, P::FIELDS, body)
            .await?;
        let mut reader = self.provider.reader();
        let read = read(&mut stream, &mut reader, delta).await;
        let spent = reader.usage();
        read.and_then(|()| reader.finish())
            .map_err(|fault| fault.spent(spent))
    }
}

/// Reads to the last event, or to the end of the stream.
async fn read(stream: &mut Stream, reader: &mut impl Reader, delta: Delta<'_>) -> Result<(), Fault> {
    let too_long = |_| Fault::too_long("an event of the stream");
    let mut parser = sse::Parser::default();
    while let Some(piece) = stream.next().await? {
        for event in parser.feed(&piece).map_err(too_long)? {
            if reader.event(&event, delta)? {
                return Ok(());
            }
        }
    }
    if let Some(event) = parser.finish().map_err(too_long)? {
        reader.event(&event, delta)?;
    }
    Ok(())
}

#[async_trait::async_trait]
impl<P: Provider> Model for Remote<P> {
    async fn respond(&self, request: Request<'_>, delta: Delta<'_>) -> Result<Response, Unanswered> {
        let body = Bytes::from(self.provider.body(&request).to_string());
        let mut spent = Usage::default();
        for attempt in 1.. {
            let told = AtomicBool::new(false);
            let tell = |piece: Piece<'_>| {
                told.store(true, Ordering::Relaxed);
                delta(piece);
            };
            let fault = match self.attempt(&request, body.clone(), &tell).await {
                Ok(mut response) => {
                    response.usage = charged(response.usage, &request);
                    response.usage.add(spent);
                    return Ok(response);
                }
                Err(fault) => fault,
            };
            spent.add(charged(fault.usage, &request));
            let pause = pause(fault.again, attempt).filter(|pause| {
                attempt < self.attempts && in_time(*pause, request.ends) && spent.total() < request.tokens
            });
            let Some(pause) = pause else {
                let (error, usage) = (fault.error, spent);
                return Err(Unanswered { error, usage });
            };
            tracing::info!(upstream = %self.endpoint.upstream, attempt, ?pause, error = %fault.error, "asking the model again");
            tokio::time::sleep(pause).await;
            if told.into_inner() {
                delta(Piece::Again);
            }
        }
        Err(Unanswered {
            error: ModelError::Invalid("it was never asked for".into()),
            usage: spent,
        })
    }
}

/// Of a provider that says what was written, but not what was read, the latter is estimated.
fn charged(usage: Usage, request: &Request<'_>) -> Usage {
    if usage.input > 0 || usage.output == 0 {
        return usage;
    }
    Usage {
        input: request.tokens_to_read(),
        ..usage
    }
}

/// A provider may ask for a wait that no clock can count.
fn in_time(pause: Duration, ends: Instant) -> bool {
    let next = Instant::now().checked_add(pause);
    next.is_some_and(|next| next < ends)
}

/// How long to wait before the next attempt, if there is to be one. Never less than the provider asked for.
fn pause(again: Again, attempt: u32) -> Option<Duration> {
    let least = match again {
        Again::Never => return None,
        Again::Soon => Duration::ZERO,
        Again::After(wait) => wait,
    };
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1));
    let own = doubled.min(LONGEST_PAUSE);
    // between half and all of it, so that those who failed together do not come back together
    let random = RandomState::new().build_hasher().finish();
    let half = own / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    let own = half + Duration::from_micros(random % spread);
    Some(if least.is_zero() {
        own
    } else {
        least.saturating_add(own / 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_longer_than_time_itself_is_not_in_time() {
        let ends = Instant::now() + Duration::from_secs(3600);
        for (least, expected) in [(1, true), (7200, false), (1 << 63, false), (u64::MAX, false)] {
            let pause = pause(Again::After(Duration::from_secs(least)), 1).unwrap();
            assert_eq!(in_time(pause, ends), expected, "{least}");
        }
    }

    #[test]
    fn pauses_grow_and_are_never_shorter_than_asked_for() {
        assert_eq!(pause(Again::Never, 1), None);
        for _ in 0..100 {
            for (attempt, least, most) in [
                (1, 250, 500),
                (2, 500, 1000),
                (3, 1000, 2000),
                (40, 15_000, 30_000),
            ] {
                let pause = pause(Again::Soon, attempt).unwrap();
                let bounds = Duration::from_millis(least)..=Duration::from_millis(most);
                assert!(bounds.contains(&pause), "{attempt}: {pause:?}");
            }
            assert!(pause(Again::After(Duration::from_secs(7)), 1).unwrap() >= Duration::from_secs(7));
        }
    }
}
