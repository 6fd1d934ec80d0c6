//! Callers in a loop for a bounded time, and what their latencies were.

use std::future::Future;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::Plan;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// In nanoseconds, one an operation that succeeded.
    latencies: Vec<u64>,
    errors: u64,
    elapsed: Duration,
    /// Raw limits and other figures of the same run.
    extra: Map<String, Value>,
}

impl Report {
    pub(crate) fn of(latencies: Vec<u64>, elapsed: Duration) -> Self {
        Self {
            latencies,
            elapsed,
            ..Self::default()
        }
    }

    /// A further key of the result.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn p50_us(&self) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        micros(quantile(&sorted, 0.50))
    }

    /// Operations that succeeded.
    pub(crate) fn per_second(&self) -> f64 {
        (self.latencies.len() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)).round()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    pub(crate) fn into_json(mut self, name: &str, concurrency: u32) -> String {
        self.latencies.sort_unstable();
        let n = self.latencies.len();
        let per_second = n as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let mut object = Map::new();
        object.insert("name".into(), json!(name));
        object.insert("n".into(), json!(n));
        object.insert("concurrency".into(), json!(concurrency));
        object.insert("ops_per_s".into(), json!(per_second.round()));
        for (key, share) in [("p50_us", 0.50), ("p95_us", 0.95), ("p99_us", 0.99)] {
            object.insert(key.into(), json!(micros(quantile(&self.latencies, share))));
        }
        object.insert("errors".into(), json!(self.errors));
        object.extend(self.extra);
        Value::Object(object).to_string()
    }
}

/// The value below which `share` of the sorted values lie; 0 of nothing.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index between 0 and last"
    )]
    sorted.get(at as usize).copied().unwrap_or(0)
}

/// Nanoseconds as microseconds with one decimal.
pub(crate) fn micros(nanos: u64) -> f64 {
    (nanos as f64 / 100.0).round() / 10.0
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What one round of a caller came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    took: Vec<Duration>,
    errors: u64,
}

impl Round {
    /// One more operation: how long it took, if it succeeded.
    pub(crate) fn add(&mut self, outcome: Option<Duration>) {
        match outcome {
            Some(took) => self.took.push(took),
            None => self.errors += 1,
        }
    }
}

/// A round of one operation, which says whether it succeeded.
pub(crate) async fn timed(operation: impl Future<Output = bool>) -> Round {
    let began = Instant::now();
    let succeeded = operation.await;
    let mut round = Round::default();
    round.add(succeeded.then(|| began.elapsed()));
    round
}

/// Plays rounds from `plan.concurrency` callers until the time is up. What began during the warm-up is not counted.
pub(crate) async fn run<F, Fut>(plan: &Plan, round: F) -> Report
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Round> + Send,
{
    let from = Instant::now() + plan.warmup;
    let until = from + plan.time;
    let mut callers = Vec::new();
    for _ in 0..plan.concurrency {
        let round = round.clone();
        callers.push(tokio::spawn(async move {
            let mut report = Report::default();
            loop {
                let began = Instant::now();
                if began >= until {
                    return report;
                }
                let round = round().await;
                if began >= from {
                    report.latencies.extend(round.took.into_iter().map(nanos));
                    report.errors += round.errors;
                }
            }
        }));
    }
    let mut total = Report::default();
    for caller in callers {
        // A caller that panicked counts as an error, not as a good run.
        match caller.await {
            Ok(report) => {
                total.latencies.extend(report.latencies);
                total.errors += report.errors;
            }
            Err(_) => total.errors += 1,
        }
    }
    total.elapsed = from.elapsed();
    total
}
