//! What runtime counts of its own; calls are counted by the server stack. Labels are names from the configuration and words of
//! closed lists: nothing that a model or a caller writes makes a new one.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use harombe_proto::types::v1::ToolOutcome;
use harombe_telemetry::metrics::{Counter, Family, Gauge, Histogram, Metrics, exponential_buckets};

type One<V> = [(&'static str, V); 1];
type Two<V> = [(&'static str, V); 2];

/// A tool that the agent does not have.
const OTHER: &str = "other";

/// Runtime's metrics.
#[derive(Debug)]
pub(crate) struct Numbers {
    memory_ahead: Gauge<f64, AtomicU64>,
    runs: Family<One<&'static str>, Gauge>,
    ended: Family<Two<&'static str>, Counter>,
    let_go: Family<One<&'static str>, Counter>,
    taken_over: Counter,
    refused: Counter,
    model_calls: Family<Two<String>, Counter>,
    model_seconds: Family<One<String>, Histogram, fn() -> Histogram>,
    model_tokens: Family<Two<String>, Counter>,
    tool_calls: Family<Two<&'static str>, Counter>,
    summaries: Family<One<&'static str>, Counter>,
}

/// What became of a session that was to be summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summed {
    /// Memory has the summary.
    Saved,
    /// What it was made of was not there any more.
    Outdated,
    /// The model or memory did not answer, or not as they should.
    Failed,
    /// The node goes away, or it took too long.
    BrokenOff,
    /// Too many were being written.
    Skipped,
}

impl Summed {
    const fn word(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Outdated => "outdated",
            Self::Failed => "failed",
            Self::BrokenOff => "broken_off",
            Self::Skipped => "skipped",
        }
    }
}

/// Why a node goes no further with a run that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// Its lease is another's, or could not be renewed in time.
    LeaseLost,
    /// The node goes away.
    Draining,
    /// Its journal or its end could not be written.
    Stuck,
}

impl LetGo {
    const fn word(self) -> &'static str {
        match self {
            Self::LeaseLost => "lease_lost",
            Self::Draining => "draining",
            Self::Stuck => "stuck",
        }
    }
}

/// One question to a model, over. All attempts together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// One of few words.
    pub outcome: &'static str,
    /// The pauses between attempts included.
    pub took: Duration,
    /// Tokens that the model read.
    pub read: u64,
    /// Tokens that it wrote.
    pub written: u64,
}

/// From a script to a model that thinks for minutes.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 17))
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            memory_ahead: metrics.metric(
                "harombe_runtime_memory_clock_ahead_seconds",
                "How far memory's clock is ahead of this node's, negative when it is behind",
                Gauge::default,
            ),
            runs: metrics.metric(
                "harombe_runtime_runs",
                "Runs of this node, by what they do: driven, or waiting for people",
                Family::default,
            ),
            ended: metrics.metric(
                "harombe_runtime_runs_ended",
                "Runs that ended here, by outcome and why",
                Family::default,
            ),
            let_go: metrics.metric(
                "harombe_runtime_runs_let_go",
                "Runs that have not ended and are another node's to go on with, by why",
                Family::default,
            ),
            taken_over: metrics.metric(
                "harombe_runtime_runs_taken_over",
                "Runs that had been begun, by another node as a rule, and that this one went on with",
                Counter::default,
            ),
            refused: metrics.metric(
                "harombe_runtime_runs_refused",
                "Messages that were refused because the node drove as many runs as it may",
                Counter::default,
            ),
            model_calls: metrics.metric(
                "harombe_runtime_model_calls",
                "Questions to models that are over, all attempts of one together, by model and outcome",
                Family::default,
            ),
            model_seconds: metrics.metric(
                "harombe_runtime_model_seconds",
                "Time from a question to a model to its last word, all attempts of one together, by model",
                || Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            model_tokens: metrics.metric(
                "harombe_runtime_model_tokens",
                "Tokens that models read and wrote, by model and direction",
                Family::default,
            ),
            tool_calls: metrics.metric(
                "harombe_runtime_tool_calls",
                "Calls of tools that are over, by tool (other: none that the agent has) and outcome",
                Family::default,
            ),
            summaries: metrics.metric(
                "harombe_runtime_summaries",
                "Sessions that models were to sum up, by outcome",
                Family::default,
            ),
        }
    }

    /// In milliseconds.
    pub(crate) fn memory_ahead(&self, millis: i64) {
        let millis = i32::try_from(millis).unwrap_or(if millis < 0 { i32::MIN } else { i32::MAX });
        self.memory_ahead.set(f64::from(millis) / 1000.0);
    }

    /// How many runs are here now.
    pub(crate) fn set_runs(&self, driven: usize, waiting: usize) {
        for (doing, count) in [("driven", driven), ("waiting", waiting)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.runs.get_or_create(&[("doing", doing)]).set(count);
        }
    }

    /// `outcome` and `why` are words of closed lists, as in the audit log.
    pub(crate) fn ended(&self, outcome: &'static str, why: &'static str) {
        let labels = [("outcome", outcome), ("why", why)];
        self.ended.get_or_create(&labels).inc();
    }

    pub(crate) fn let_go(&self, why: LetGo) {
        self.let_go.get_or_create(&[("why", why.word())]).inc();
    }

    pub(crate) fn taken_over(&self) {
        self.taken_over.inc();
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// `model` is what the configuration calls it.
    pub(crate) fn asked(&self, model: &str, asked: Asked) {
        let labelled = |name, value: &str| [("model", model.to_owned()), (name, value.to_owned())];
        let calls = self
            .model_calls
            .get_or_create(&labelled("outcome", asked.outcome));
        calls.inc();
        let seconds = self.model_seconds.get_or_create(&[("model", model.to_owned())]);
        seconds.observe(asked.took.as_secs_f64());
        for (direction, tokens) in [("read", asked.read), ("written", asked.written)] {
            let labels = labelled("direction", direction);
            self.model_tokens.get_or_create(&labels).inc_by(tokens);
        }
    }

    pub(crate) fn summed(&self, summed: Summed) {
        self.summaries.get_or_create(&[("outcome", summed.word())]).inc();
    }

    /// `tool` is one that the agent has.
    pub(crate) fn called(&self, tool: Option<&'static str>, outcome: ToolOutcome) {
        let outcome = match outcome {
            ToolOutcome::Ok => "ok",
            ToolOutcome::Failed => "failed",
            ToolOutcome::Denied => "denied",
            ToolOutcome::Invalid => "invalid",
            ToolOutcome::Unknown | ToolOutcome::Unspecified => "unknown",
        };
        let labels = [("tool", tool.unwrap_or(OTHER)), ("outcome", outcome)];
        self.tool_calls.get_or_create(&labels).inc();
    }
}
