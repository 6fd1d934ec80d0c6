//! Tells the vectors what has changed, as soon as somebody says so and now and then in any case.

use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio_util::sync::CancellationToken;

use crate::domain::indexing::{Fault, Indexer, Round};
use crate::domain::recall::Meanings;
use crate::metrics::IndexNumbers;

/// How often is looked for what nobody told of.
const LOOK: Duration = Duration::from_secs(2);
/// How often another process, or a model that cannot be used, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// The pause after a failure; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Works off the outbox, and compares everything at the start.
pub(crate) struct Index {
    pub(crate) indexer: Indexer,
    pub(crate) meanings: Meanings,
    pub(crate) numbers: IndexNumbers,
}

impl Index {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        stop.run_until_cancelled(self.work()).await;
        if let Err(error) = self.indexer.let_go().await {
            tracing::warn!(reason = %error.reason(), error = %error, "other processes wait before they write vectors");
        }
    }

    async fn work(&mut self) {
        let mut failures = 0;
        loop {
            match self.indexer.round().await {
                Ok(round) => {
                    self.numbers.round(None);
                    if failures > 0 {
                        tracing::info!("the vectors follow the memories again");
                        failures = 0;
                    }
                    rest(round, &self.meanings).await;
                }
                Err(fault) => {
                    self.numbers.round(Some(fault.as_str()));
                    if failures == 0 {
                        told(&fault);
                    }
                    let pause = pause(failures).max(fault.retry_after().unwrap_or_default());
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

async fn rest(after: Round, meanings: &Meanings) {
    match after {
        Round::Done => drop(tokio::time::timeout(LOOK, meanings.woken()).await),
        // whatever is saved meanwhile: a model is read whole before it is known whether it can be used
        Round::Waiting => tokio::time::sleep(LOOK_AGAIN).await,
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE)
}

fn told(fault: &Fault) {
    let cause = std::error::Error::source(fault).map(ToString::to_string);
    let reason = match fault {
        Fault::Store(error) => Some(error.reason().to_string()),
        _ => None,
    };
    tracing::warn!(error = %fault, cause, reason, "the vectors wait for what has changed; trying again");
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_used_is_not_looked_at_with_each_memory() {
        let check = async |round, woken, expected| {
            let meanings = Meanings::opening();
            if woken {
                meanings.wake();
            }
            let begun = Instant::now();
            rest(round, &meanings).await;
            assert_eq!(begun.elapsed().as_secs(), expected, "{round:?} {woken}");
        };
        check(Round::Done, true, 0).await;
        check(Round::Done, false, LOOK.as_secs()).await;
        check(Round::Waiting, true, LOOK_AGAIN.as_secs()).await;
        check(Round::Waiting, false, LOOK_AGAIN.as_secs()).await;
    }
}
