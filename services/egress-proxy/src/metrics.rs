//! Every metric of the service's own; calls are counted by the server stack. Labels are names from the configuration and words of
//! closed lists: nothing that a caller writes makes a new one.

use std::time::Duration;

use harombe_telemetry::metrics::{Counter, Family, Gauge, Histogram, Metrics, exponential_buckets};

type One<V> = [(&'static str, V); 1];
type Two<V> = [(&'static str, V); 2];

/// The numbers of one proxy. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    decisions: Family<Two<&'static str>, Counter>,
    exchanges: Family<Two<String>, Counter>,
    seconds: Family<One<String>, Histogram, fn() -> Histogram>,
    bytes: Family<One<&'static str>, Counter>,
    tunnels: Gauge,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With the status of an answer that came whole.
    Answered(u16),
    /// Otherwise.
    Failed,
}

impl Ended {
    const fn word(self) -> &'static str {
        match self {
            Self::Answered(400..=499) => "client_error",
            Self::Answered(500..) => "server_error",
            Self::Answered(_) => "ok",
            Self::Failed => "failed",
        }
    }
}

/// One exchange with the world outside, over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) ended: Ended,
    pub(crate) took: Duration,
    /// Of the request's body, in bytes.
    pub(crate) sent: u64,
    /// Of the answer's body, in bytes.
    pub(crate) received: u64,
}

/// A tunnel that is open until this is dropped.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// From a cached answer on the same machine to a model that thinks for minutes.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 20))
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            decisions: metrics.metric(
                "harombe_egress_decisions",
                "Decisions over what may leave, by outcome and why",
                Family::default,
            ),
            exchanges: metrics.metric(
                "harombe_egress_exchanges",
                "Exchanges with the world outside that are over, by upstream (none: web_fetch) and outcome",
                Family::default,
            ),
            seconds: metrics.metric(
                "harombe_egress_exchange_seconds",
                "Time from the decision to the end of the answer, by upstream (none: web_fetch)",
                || Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            bytes: metrics.metric(
                "harombe_egress_bytes",
                "Bytes of bodies, by direction, counted when the exchange is over",
                Family::default,
            ),
            tunnels: metrics.metric("harombe_egress_tunnels", "Tunnels that are open", Gauge::default),
        }
    }

    pub(crate) fn allowed(&self) {
        self.decided("allowed", "");
    }

    /// `code` is one of few words.
    pub(crate) fn denied(&self, code: &'static str) {
        self.decided("denied", code);
    }

    /// What was shown as a permission is none; `reason` is one of few words.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.decided("refused", reason);
    }

    /// It may leave and cannot, for want of its credential.
    pub(crate) fn uncredentialed(&self) {
        self.decided("failed", "credential-unavailable");
    }

    fn decided(&self, outcome: &'static str, why: &'static str) {
        let labels = [("outcome", outcome), ("why", why)];
        self.decisions.get_or_create(&labels).inc();
    }

    /// `upstream` is a name of the configuration; empty for `web_fetch`.
    pub(crate) fn exchanged(&self, upstream: &str, exchange: Exchange) {
        let outcome = exchange.ended.word().to_owned();
        let labels = [("upstream", upstream.to_owned()), ("outcome", outcome)];
        self.exchanges.get_or_create(&labels).inc();
        let labels = [("upstream", upstream.to_owned())];
        let seconds = self.seconds.get_or_create(&labels);
        seconds.observe(exchange.took.as_secs_f64());
        for (direction, bytes) in [("sent", exchange.sent), ("received", exchange.received)] {
            self.bytes
                .get_or_create(&[("direction", direction)])
                .inc_by(bytes);
        }
    }

    pub(crate) fn open(&self) -> Open {
        self.tunnels.inc();
        Open(self.tunnels.clone())
    }
}
