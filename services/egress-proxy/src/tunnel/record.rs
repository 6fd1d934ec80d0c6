//! What the audit log keeps of a request: the decision before it is acted on, and how it ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use harombe_error::ServiceError as _;
use harombe_trail::{Event, Kind, Outcome, Trail};
use harombe_types::{CallId, Clock, Principal, RunPrincipal, Timestamp};
use serde_json::{Value, json};

use crate::Error;
use crate::domain::denial::Denial;
use crate::tunnel::Act;

/// Longest URL that goes into a record, in characters; a longer one was denied and shows its beginning.
const MAX_URL: usize = 2048;

/// What someone tried to send, as they wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) call: CallId,
    pub(crate) method: String,
    pub(crate) url: String,
}

impl Attempt {
    fn details(&self) -> Value {
        let cut = |text: &str| text.chars().take(MAX_URL).collect::<String>();
        json!({ "method": cut(&self.method), "url": cut(&self.url) })
    }
}

/// Counts what passes through one tunnel.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Zero until the response's head is there.
    pub(crate) status: AtomicU16,
    pub(crate) received: AtomicU64,
    pub(crate) truncated: AtomicBool,
}

/// The record of one open tunnel. When it is dropped without being closed, that is recorded too.
pub(crate) struct Record {
    trail: Trail,
    run: RunPrincipal,
    act: Arc<Act>,
    clock: Arc<dyn Clock>,
    began: Timestamp,
    tally: Arc<Tally>,
    closed: bool,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl Record {
    pub(super) fn new(trail: Trail, run: RunPrincipal, act: Arc<Act>, clock: Arc<dyn Clock>) -> Self {
        let began = clock.now();
        Self {
            trail,
            run,
            act,
            clock,
            began,
            tally: Arc::default(),
            closed: false,
        }
    }

    pub(super) fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Notes how the tunnel ended.
    pub(super) fn close(&mut self, error: Option<&Error>) {
        self.closed = true;
        let outcome = if error.is_none() {
            Outcome::Ok
        } else {
            Outcome::Failed
        };
        let reason = error.map(|error| error.reason().as_str());
        self.note(outcome, reason);
    }

    fn note(&self, outcome: Outcome, reason: Option<&str>) {
        let elapsed = self.began.until(self.clock.now());
        let details = json!({
            "host": self.act.allowed.target.authority().to_string(),
            "status": self.tally.status.load(Ordering::Relaxed),
            "received_bytes": self.tally.received.load(Ordering::Relaxed),
            "truncated": self.tally.truncated.load(Ordering::Relaxed),
            "duration_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "reason": reason,
        });
        let event = event(Kind::EgressClosed, &self.run, self.act.attempt.call);
        self.trail.note(event.outcome(outcome).details(details));
    }

    /// The decision that an act may be performed, with the addresses it is bound to.
    pub(super) fn allowed(run: &RunPrincipal, act: &Act, policy_version: &str) -> Event {
        let mut details = act.attempt.details();
        let authority = act.allowed.target.authority();
        let addresses: Vec<_> = act
            .allowed
            .pinned
            .iter()
            .map(|address| address.get().to_string())
            .collect();
        merge(
            &mut details,
            json!({
                "host": authority.host.to_string(),
                "port": authority.port,
                "addresses": addresses,
                "rule": act.allowed.rule.to_string(),
                "withheld_headers": act.outgoing.withheld.names,
                "more_withheld_headers": act.outgoing.withheld.more,
            }),
        );
        event(Kind::EgressDecided, run, act.attempt.call)
            .outcome(Outcome::Ok)
            .policy_version(policy_version)
            .details(details)
    }

    /// The decision that an attempt may not be performed, and which stage made it.
    pub(super) fn denied(
        run: &RunPrincipal,
        attempt: &Attempt,
        denial: &Denial,
        policy_version: &str,
    ) -> Event {
        let mut details = attempt.details();
        merge(
            &mut details,
            json!({ "stage": denial.stage().as_str(), "code": denial.code(), "why": denial.to_string() }),
        );
        event(Kind::EgressDecided, run, attempt.call)
            .outcome(Outcome::Denied)
            .policy_version(policy_version)
            .details(details)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.closed {
            self.note(Outcome::Failed, Some("INTERRUPTED"));
        }
    }
}

/// A permission that was not honoured here: nothing in it can be believed, so only the run that showed it is named.
pub(super) fn refused(run: &RunPrincipal, tool: &str, error: &Error) -> Event {
    let details = json!({ "tool": tool, "reason": error.reason().as_str(), "error": error.to_string() });
    Event::new(Kind::GrantRefused, &run.tenant)
        .principal(&Principal::Run(run.clone()))
        .outcome(Outcome::Denied)
        .details(details)
}

fn event(kind: Kind, run: &RunPrincipal, call: CallId) -> Event {
    Event::new(kind, &run.tenant)
        .principal(&Principal::Run(run.clone()))
        .agent(&run.agent)
        .session(run.session)
        .run(run.run)
        .call(call)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
