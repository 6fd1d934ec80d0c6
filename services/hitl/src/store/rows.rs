//! Between rows and the domain's values. A row that does not read back is damage, never a guess.

use harombe_canonical::CanonicalCall;
use harombe_sql::Error;
use harombe_types::{ApprovalId, RunPrincipal, Tenant, Timestamp};

use super::CallName;
use super::columns::Columns;
use crate::domain::{Approval, Decided, Kept, Redemption};

/// A column's text does not say what this program writes there.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds something this program did not write")]
struct Unreadable {
    column: &'static str,
}

fn unreadable(column: &'static str) -> Error {
    Error::handler(Unreadable { column })
}

fn parsed<T: std::str::FromStr>(row: &impl Columns, column: &'static str) -> Result<T, Error> {
    row.text(column)?.parse().map_err(|_| unreadable(column))
}

fn time(row: &impl Columns, column: &'static str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_millis(row.integer(column)?))
}

fn run(row: &impl Columns) -> Result<RunPrincipal, Error> {
    Ok(RunPrincipal {
        tenant: parsed(row, "tenant")?,
        subject: parsed(row, "subject")?,
        agent: parsed(row, "agent")?,
        session: parsed(row, "session")?,
        run: parsed(row, "run")?,
    })
}

pub(super) fn approval(row: &impl Columns) -> Result<Approval, Error> {
    let decided = match row.optional_text("decision")? {
        None => None,
        Some(_) => Some(decided(row)?),
    };
    Ok(Approval {
        id: parsed(row, "approval_id")?,
        run: run(row)?,
        call: CanonicalCall::parse(row.bytes("document")?).map_err(|_| unreadable("document"))?,
        risk: parsed(row, "risk")?,
        reasons: serde_json::from_str(row.text("reasons")?).map_err(|_| unreadable("reasons"))?,
        policy_version: row.text("policy_version")?.to_owned(),
        requested_at: time(row, "requested_at")?,
        deadline: time(row, "deadline")?,
        event: parsed(row, "request_event")?,
        recorded: row.flag("request_recorded")?,
        decided,
    })
}

fn decided(row: &impl Columns) -> Result<Decided, Error> {
    let by = row.optional_text("decided_by")?;
    Ok(Decided {
        decision: parsed(row, "decision")?,
        by: by
            .map(|by| by.parse().map_err(|_| unreadable("decided_by")))
            .transpose()?,
        own: row.flag("own")?,
        unattended: row.flag("unattended")?,
        comment: row.free_text("comment")?.to_owned(),
        at: time(row, "decided_at")?,
        event: parsed(row, "decision_event")?,
        recorded: row.flag("decision_recorded")?,
    })
}

pub(super) fn redemption(row: &impl Columns) -> Result<Redemption, Error> {
    let digest = row.bytes("digest")?;
    Ok(Redemption {
        run: run(row)?,
        call: parsed(row, "call")?,
        tool: row.text("tool")?.to_owned(),
        digest: digest.try_into().map_err(|_| unreadable("digest"))?,
        grant: parsed(row, "grant_id")?,
        redeemer: parsed(row, "redeemer")?,
        policy_version: row.text("policy_version")?.to_owned(),
        at: time(row, "redeemed_at")?,
        event: parsed(row, "event")?,
        recorded: row.flag("recorded")?,
    })
}

/// Whose request, and which.
pub(super) fn name(row: &impl Columns) -> Result<(Tenant, ApprovalId), Error> {
    Ok((parsed(row, "tenant")?, parsed(row, "approval_id")?))
}

/// Which request, and whether it has ended.
pub(super) fn kept(row: &impl Columns) -> Result<Kept, Error> {
    Ok(Kept {
        id: parsed(row, "approval_id")?,
        ended: row.flag("ended")?,
    })
}

/// Whose call, and which.
pub(super) fn call_name(row: &impl Columns) -> Result<CallName, Error> {
    Ok((parsed(row, "tenant")?, parsed(row, "run")?, parsed(row, "call")?))
}

/// How many requests of the subject wait, and how many of its tenant.
pub(super) fn pending(row: &impl Columns) -> Result<(u64, u64), Error> {
    Ok((
        row.integer("of_subject")?.unsigned_abs(),
        row.integer("of_tenant")?.unsigned_abs(),
    ))
}

/// How many wait, and since when the oldest does.
pub(super) fn waiting(row: &impl Columns) -> Result<(u64, Option<Timestamp>), Error> {
    let oldest = row.optional_integer("oldest")?;
    Ok((
        row.integer("waiting")?.unsigned_abs(),
        oldest.map(Timestamp::from_millis),
    ))
}
