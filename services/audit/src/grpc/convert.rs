//! Between the wire's types and the domain's.

use std::str::FromStr;

use bytes::Bytes;
use harombe_proto::audit::v1 as wire;
use harombe_tlog::Hash;
use harombe_types::{CallId, RunId, ServiceName, SessionId, Subject, Tenant, Timestamp};

use crate::Error;
use crate::domain::{Event, Filter};
use crate::log::{Consistency, Entry, Inclusion};

/// The last moment that RFC 3339 can say, in seconds: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

pub(super) fn event(event: wire::Event, service: ServiceName) -> Result<Event, Error> {
    let time = event.time.ok_or(Error::Invalid("time is missing"))?;
    Ok(Event {
        id: parsed("event_id", &event.event_id)?,
        service,
        kind: event.kind,
        tenant: parsed("tenant", &event.tenant)?,
        principal: event.principal,
        subject: optional("subject", &event.subject)?,
        agent: optional("agent", &event.agent)?,
        run: optional("run_id", &event.run_id)?,
        session: optional("session_id", &event.session_id)?,
        call: optional("call_id", &event.call_id)?,
        approval: optional("approval_id", &event.approval_id)?,
        time: timestamp("time", time)?,
        outcome: event.outcome,
        policy_version: event.policy_version,
        instance: parsed("instance", &event.instance)?,
        instance_seq: event.instance_seq,
        details: event.details,
    })
}

pub(super) fn filter(query: wire::QueryRequest, tenant: Tenant) -> Result<Filter, Error> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    Ok(Filter {
        tenant: Some(tenant.into()),
        kind: given(query.kind),
        run: optional::<RunId>("run_id", &query.run_id)?.map(Into::into),
        session: optional::<SessionId>("session_id", &query.session_id)?.map(Into::into),
        call: optional::<CallId>("call_id", &query.call_id)?.map(Into::into),
        service: optional::<ServiceName>("service", &query.service)?
            .map(|service| service.as_str().to_owned()),
        since: query
            .since
            .map(|time| timestamp("since", time))
            .transpose()?
            .map(Timestamp::as_millis),
        until: query
            .until
            .map(|time| timestamp("until", time))
            .transpose()?
            .map(Timestamp::as_millis),
    })
}

pub(super) fn erased(request: &wire::ErasePersonRequest) -> Result<Subject, Error> {
    parsed("subject", &request.subject)
}

pub(super) fn entry(entry: Entry) -> wire::Entry {
    wire::Entry {
        index: entry.index,
        leaf: entry.leaf.into(),
        details: entry.details,
    }
}

pub(super) fn inclusion(index: u64, proof: Inclusion) -> wire::GetInclusionProofResponse {
    wire::GetInclusionProofResponse {
        index,
        tree_size: proof.size,
        hashes: hashes(&proof.path),
        leaf: proof.leaf.into(),
        checkpoint: proof.checkpoint,
    }
}

pub(super) fn consistency(old_size: u64, proof: Consistency) -> wire::GetConsistencyProofResponse {
    wire::GetConsistencyProofResponse {
        old_size,
        new_size: proof.size,
        hashes: hashes(&proof.path),
        checkpoint: proof.checkpoint,
    }
}

fn hashes(path: &[Hash]) -> Vec<Bytes> {
    path.iter().map(|hash| hash.as_bytes().to_vec().into()).collect()
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|problem: T::Err| Error::Field {
        field,
        problem: problem.to_string(),
    })
}

fn optional<T: FromStr<Err: std::fmt::Display>>(field: &'static str, text: &str) -> Result<Option<T>, Error> {
    if text.is_empty() {
        Ok(None)
    } else {
        parsed(field, text).map(Some)
    }
}

/// Milliseconds, rounded down; refused where RFC 3339 has no text for the moment.
fn timestamp(field: &'static str, time: prost_types::Timestamp) -> Result<Timestamp, Error> {
    let malformed = |problem: &str| Error::Field {
        field,
        problem: problem.to_owned(),
    };
    if !(0..=LAST_SECOND).contains(&time.seconds) {
        return Err(malformed("outside the years 1970 to 9999"));
    }
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(malformed("nanoseconds outside a second"));
    }
    Ok(Timestamp::from(&time))
}
