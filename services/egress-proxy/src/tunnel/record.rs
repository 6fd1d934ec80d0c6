//! What the audit log keeps of a request: the decision before it is acted on, and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use harombe_error::ServiceError as _;
use harombe_secrets::SecretName;
use harombe_trail::{Event, Kind, Outcome, Trail};
use harombe_types::{CallId, Clock, Principal, RunPrincipal, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::Error;
use crate::domain::denial::Denial;
use crate::metrics::{Ended, Exchange, Numbers};
use crate::tunnel::{Act, Whom};
use crate::upstream::Upstream;

/// Longest URL that goes into a record, in characters; a longer one was denied and shows its beginning.
const MAX_URL: usize = 2048;

/// What someone tried to do, as they wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// `None` where no call of a tool is behind it.
    pub(crate) call: Option<CallId>,
    details: Value,
}

impl Attempt {
    pub(crate) fn fetch(call: CallId, method: &str, url: &str) -> Self {
        Self {
            call: Some(call),
            details: json!({ "method": cut(method), "url": cut(url) }),
        }
    }

    pub(crate) fn search(call: CallId, query: &str) -> Self {
        Self {
            call: Some(call),
            details: json!({ "tool": "web_search", "query": cut(query) }),
        }
    }

    pub(crate) fn upstream(name: &str) -> Self {
        Self {
            call: None,
            details: json!({ "kind": "upstream", "upstream": cut(name) }),
        }
    }

    /// Of a request to an upstream: without its query and its body.
    pub(crate) fn asking(mut self, method: &str, path: &str) -> Self {
        merge(
            &mut self.details,
            json!({ "method": cut(method), "path": cut(path) }),
        );
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_URL).collect()
}

/// Counts what passes through one tunnel.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Zero until the response's head is there.
    pub(crate) status: AtomicU16,
    /// Of the request's body, in bytes.
    pub(crate) sent: Arc<AtomicU64>,
    /// Of the response's body, in bytes, as they came from the peer.
    pub(crate) received: AtomicU64,
    pub(crate) truncated: AtomicBool,
    /// Secrets of each kind that were taken out of the body.
    pub(crate) redactions: Mutex<BTreeMap<&'static str, u64>>,
}

/// With whom an exchange is.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its name in the configuration; empty for a host of the policy's.
    pub(crate) upstream: String,
    /// What the log says of it.
    pub(crate) details: Value,
}

/// The record of one exchange that was allowed. When it is dropped without being closed, that is recorded too.
pub(crate) struct Record {
    trail: Trail,
    event: Event,
    peer: Peer,
    numbers: Numbers,
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
    pub(super) fn new(
        trail: Trail,
        clock: Arc<dyn Clock>,
        numbers: Numbers,
        whom: &Whom,
        call: Option<CallId>,
        mut peer: Peer,
    ) -> Self {
        let began = clock.now();
        merge(&mut peer.details, caller(whom));
        Self {
            trail,
            event: event(Kind::EgressClosed, whom, call),
            peer,
            numbers,
            clock,
            began,
            tally: Arc::default(),
            closed: false,
        }
    }

    pub(super) fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Goes on with what was counted before there was a record.
    pub(super) fn counts(&mut self, tally: Tally) -> Arc<Tally> {
        self.tally = Arc::new(tally);
        self.tally()
    }

    /// Notes how the exchange ended.
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
        let status = self.tally.status.load(Ordering::Relaxed);
        let sent = self.tally.sent.load(Ordering::Relaxed);
        let received = self.tally.received.load(Ordering::Relaxed);
        let ended = match outcome {
            Outcome::Ok => Ended::Answered(status),
            _ => Ended::Failed,
        };
        self.numbers.exchanged(
            &self.peer.upstream,
            Exchange {
                ended,
                took: elapsed,
                sent,
                received,
            },
        );
        let mut details = self.peer.details.clone();
        merge(
            &mut details,
            json!({
                "status": status,
                "sent_bytes": sent,
                "received_bytes": received,
                "truncated": self.tally.truncated.load(Ordering::Relaxed),
                "redactions": *self.tally.redactions.lock(),
                "duration_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                "reason": reason,
            }),
        );
        self.trail
            .note(self.event.clone().outcome(outcome).details(details));
    }

    /// The decision that an act may be performed, with the addresses it is bound to.
    pub(super) fn allowed(run: &RunPrincipal, act: &Act, policy_version: &str) -> Event {
        let mut details = act.attempt.details.clone();
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
        event(Kind::EgressDecided, &run.into(), act.attempt.call)
            .outcome(Outcome::Ok)
            .policy_version(policy_version)
            .details(details)
    }

    /// The decision that an upstream is asked, and which credential it is shown.
    pub(super) fn asked(whom: &Whom, attempt: &Attempt, upstream: &Upstream) -> Event {
        let mut details = attempt.details.clone();
        merge(&mut details, caller(whom));
        merge(&mut details, destination(upstream));
        merge(
            &mut details,
            json!({ "credential": upstream.credential.as_ref().map(SecretName::as_str) }),
        );
        event(Kind::EgressDecided, whom, attempt.call)
            .outcome(Outcome::Ok)
            .details(details)
    }

    /// An upstream that is not asked because its credential cannot be had.
    pub(super) fn uncredentialed(
        whom: &Whom,
        attempt: &Attempt,
        upstream: &Upstream,
        error: &Error,
    ) -> Event {
        let mut details = attempt.details.clone();
        merge(&mut details, caller(whom));
        merge(&mut details, destination(upstream));
        merge(
            &mut details,
            json!({ "code": "credential-unavailable", "why": error.to_string() }),
        );
        event(Kind::EgressDecided, whom, attempt.call)
            .outcome(Outcome::Failed)
            .details(details)
    }

    /// The decision that an attempt may not be performed, and which stage made it.
    pub(super) fn denied(whom: &Whom, attempt: &Attempt, denial: &Denial, policy_version: &str) -> Event {
        let mut details = attempt.details.clone();
        merge(&mut details, caller(whom));
        merge(
            &mut details,
            json!({ "stage": denial.stage().as_str(), "code": denial.code(), "why": denial.to_string() }),
        );
        event(Kind::EgressDecided, whom, attempt.call)
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

/// Which upstream, and where it is.
pub(super) fn destination(upstream: &Upstream) -> Value {
    json!({
        "kind": "upstream",
        "upstream": upstream.name,
        "host": upstream.target.authority().to_string(),
    })
}

/// A permission that was not honoured here: nothing in it can be believed, so only the run that showed it is named.
pub(super) fn refused(run: &RunPrincipal, tool: &str, error: &Error) -> Event {
    let details = json!({ "tool": tool, "reason": error.reason().as_str(), "error": error.to_string() });
    Event::new(Kind::GrantRefused, &run.tenant)
        .principal(&Principal::Run(run.clone()))
        .outcome(Outcome::Denied)
        .details(details)
}

fn event(kind: Kind, whom: &Whom, call: Option<CallId>) -> Event {
    let event = match whom {
        Whom::Run(run) => Event::new(kind, &run.tenant)
            .principal(&Principal::Run(run.clone()))
            .agent(&run.agent)
            .session(run.session)
            .run(run.run),
        Whom::Service { operator, .. } => Event::new(kind, operator),
    };
    match call {
        Some(call) => event.call(call),
        None => event,
    }
}

/// Which service asked in its own name: the writer of the record is this one. A run is named by the record itself.
fn caller(whom: &Whom) -> Value {
    match whom {
        Whom::Run(_) => Value::Null,
        Whom::Service { service, .. } => json!({ "caller": service.as_str() }),
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
