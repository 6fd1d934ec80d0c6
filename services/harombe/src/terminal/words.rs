//! How what happens in a run is called, wherever it is shown.

use harombe_proto::types::v1::{ApprovalDecided, Decision, Risk, StopReason, ToolFinished, ToolOutcome};

use super::style::Style;
use super::text::printable;

pub(super) fn risk(style: Style, risk: Risk) -> String {
    match risk {
        Risk::Low => style.good("risk LOW").to_string(),
        Risk::Medium => style.warn("risk MEDIUM").to_string(),
        Risk::High => style.warn("risk HIGH").to_string(),
        Risk::Critical => style.bad("risk CRITICAL").to_string(),
        Risk::Unspecified => "risk unknown".to_owned(),
    }
}

pub(super) fn decided(style: Style, decided: &ApprovalDecided) -> String {
    let mut line = match Decision::try_from(decided.decision).unwrap_or_default() {
        Decision::Approved => style.good("approved").to_string(),
        Decision::Denied => style.bad("denied").to_string(),
        Decision::Expired => style.bad("expired, so denied").to_string(),
        Decision::Unspecified => "undecided".to_owned(),
    };
    if !decided.decided_by.is_empty() {
        line.push_str(&format!(" by {}", printable(&decided.decided_by)));
    }
    if decided.unattended {
        line.push_str(" · unattended: nobody looked");
    }
    if !decided.comment.is_empty() {
        line.push_str(&format!(" · “{}”", printable(&decided.comment)));
    }
    line
}

/// How a call ended, and whether it ran at all.
pub(super) fn outcome(style: Style, finished: &ToolFinished) -> (String, ToolOutcome) {
    let outcome = ToolOutcome::try_from(finished.outcome).unwrap_or_default();
    let (mut line, ran) = match outcome {
        ToolOutcome::Ok => (style.good("finished").to_string(), true),
        ToolOutcome::Denied => (style.bad("denied").to_string(), false),
        ToolOutcome::Invalid => (style.warn("not run").to_string(), false),
        ToolOutcome::Unknown => (style.warn("outcome unknown").to_string(), false),
        ToolOutcome::Failed | ToolOutcome::Unspecified => (style.warn("failed").to_string(), true),
    };
    if let Some(code) = finished.exit_code {
        line.push_str(&format!(" · exit {code}"));
    }
    if !finished.reason.is_empty() {
        line.push_str(&format!(" · {}", printable(&finished.reason)));
    }
    if ran {
        line.push_str(&format!(" · {} ms", finished.duration_ms));
    }
    (line, outcome)
}

/// Output that did not get here while it was printed.
pub(super) fn missed(bytes: u64) -> String {
    format!("… {bytes} bytes of the output did not get here")
}

/// Stands above all of an output of which parts were shown before.
pub(super) const AGAIN: &str =
    "not all of the output got here as it was printed; this is what the model is told of it:";

/// That a person or the deadline said no is told where it was decided.
pub(super) fn is_told_already(finished: &ToolFinished) -> bool {
    matches!(finished.reason.as_str(), "APPROVAL_DENIED" | "APPROVAL_EXPIRED")
}

pub(super) fn redactions(style: Style, finished: &ToolFinished) -> Option<String> {
    if finished.redactions.is_empty() {
        return None;
    }
    let kinds = finished.redactions.iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| format!("{count} × {}", printable(kind)))
        .collect();
    Some(format!("{} · {}", style.warn("redacted"), kinds.join(", ")))
}

pub(super) const fn stopped(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Answered => "answered",
        StopReason::Cancelled => "cancelled",
        StopReason::StepLimit => "stopped at the step limit",
        StopReason::TokenLimit => "stopped at the token limit",
        StopReason::TimeLimit => "stopped at the time limit",
        StopReason::Unspecified => "ended",
    }
}
