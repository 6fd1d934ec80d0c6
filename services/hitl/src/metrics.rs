//! What hitl counts of its own; calls are counted by the server stack. What is counted where it happens is this process's;
//! what waits is all processes' on one store, so each says the same.

use std::time::Duration;

use harombe_error::Reason;
use harombe_telemetry::metrics::{Counter, Family, Gauge, Metrics};
use harombe_types::Risk;

use crate::domain::{Decided, Decision, Whose};

type Label = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 2];

/// hitl's metrics. Clones count together.
#[derive(Clone, Debug)]
pub struct Numbers {
    opened: Family<Label, Counter>,
    not_opened: Family<Label, Counter>,
    decided: Family<Labels, Counter>,
    removed: Counter,
    pending: Gauge,
    oldest: Gauge,
    redeemed: Counter,
    refused: Family<Label, Counter>,
    sweep_failures: Family<Label, Counter>,
    aside: Gauge,
}

impl Numbers {
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            opened: metrics.metric(
                "harombe_hitl_requests_opened",
                "Requests for approval, by risk",
                Family::default,
            ),
            not_opened: metrics.metric(
                "harombe_hitl_requests_refused",
                "Calls that nobody was asked about because as many requests waited as may, by whose",
                Family::default,
            ),
            decided: metrics.metric(
                "harombe_hitl_requests_decided",
                "Decisions, by what was decided and by whom",
                Family::default,
            ),
            removed: metrics.metric(
                "harombe_hitl_requests_removed",
                "Requests that were removed a long time after their decision",
                Counter::default,
            ),
            pending: metrics.metric(
                "harombe_hitl_requests_pending",
                "Requests without a decision",
                Gauge::default,
            ),
            oldest: metrics.metric(
                "harombe_hitl_oldest_pending_seconds",
                "For how long the oldest request without a decision has waited",
                Gauge::default,
            ),
            redeemed: metrics.metric(
                "harombe_hitl_grants_redeemed",
                "Grants that were spent",
                Counter::default,
            ),
            refused: metrics.metric(
                "harombe_hitl_grants_refused",
                "Grants that were not honoured, by why",
                Family::default,
            ),
            sweep_failures: metrics.metric(
                "harombe_hitl_sweep_failures",
                "Records that could not be dealt with, and rounds that ended early",
                Family::default,
            ),
            aside: metrics.metric(
                "harombe_hitl_records_aside",
                "Records that failed and are tried again later",
                Gauge::default,
            ),
        }
    }

    pub(crate) fn opened(&self, risk: Risk) {
        self.opened.get_or_create(&[("risk", risk.as_str())]).inc();
    }

    pub(crate) fn not_opened(&self, limit: Whose) {
        self.not_opened.get_or_create(&[("limit", limit.as_str())]).inc();
    }

    pub(crate) fn decided(&self, decided: &Decided) {
        let by = match decided {
            Decided {
                decision: Decision::Expired,
                ..
            } => "deadline",
            Decided { unattended: true, .. } => "program",
            Decided { own: true, .. } => "self",
            _ => "person",
        };
        let labels = [("decision", decided.decision.as_str()), ("by", by)];
        self.decided.get_or_create(&labels).inc();
    }

    pub(crate) fn removed(&self, requests: u64) {
        self.removed.inc_by(requests);
    }

    pub(crate) fn set_pending(&self, waiting: u64, oldest: Duration) {
        self.pending.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.oldest
            .set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    pub(crate) fn redeemed(&self) {
        self.redeemed.inc();
    }

    pub(crate) fn refused(&self, why: Reason) {
        self.refused.get_or_create(&[("why", why.as_str())]).inc();
    }

    /// One record could not be dealt with.
    pub(crate) fn record_failed(&self) {
        self.sweep_failures.get_or_create(&[("of", "record")]).inc();
    }

    /// A round ended before all records were looked at.
    pub(crate) fn round_failed(&self) {
        self.sweep_failures.get_or_create(&[("of", "round")]).inc();
    }

    pub(crate) fn set_aside(&self, records: usize) {
        self.aside.set(i64::try_from(records).unwrap_or(i64::MAX));
    }
}
