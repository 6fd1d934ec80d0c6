//! What the gateway counts of its own; calls are counted by the server stack.

use harombe_telemetry::metrics::{Counter, Family, Gauge, Metrics};

type Label = [(&'static str, &'static str); 1];

/// The gateway's metrics. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    refused: Family<Label, Counter>,
    limited: Family<Label, Counter>,
    /// Streams that take a place of their key.
    pub(crate) streams: Gauge,
}

/// What there was too much of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limited {
    Requests,
    Streams,
    Transfers,
    Calls,
    Messages,
    Sessions,
    Logins,
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            refused: metrics.metric(
                "harombe_gateway_logins_refused",
                "Callers who were turned away at the door, by why",
                Family::default,
            ),
            limited: metrics.metric(
                "harombe_gateway_limited",
                "Calls refused because a limit was reached, by which one",
                Family::default,
            ),
            streams: metrics.metric(
                "harombe_gateway_key_streams",
                "Streams that are open by API keys",
                Gauge::default,
            ),
        }
    }

    /// `why` is one of few words.
    pub(crate) fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&[("why", why)]).inc();
    }

    pub(crate) fn limited(&self, what: Limited) {
        let limit = match what {
            Limited::Requests => "requests",
            Limited::Streams => "streams",
            Limited::Transfers => "transfers",
            Limited::Calls => "calls",
            Limited::Messages => "messages",
            Limited::Sessions => "sessions",
            Limited::Logins => "logins",
        };
        self.limited.get_or_create(&[("limit", limit)]).inc();
    }
}
