//! Between rows and the domain's values. A row that does not read back is damage, never a guess.

use harombe_canonical::CanonicalCall;
use harombe_sql::Error;
use harombe_types::{RunPrincipal, Timestamp};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::domain::{Approval, Decided, Redemption};

/// A column's text does not say what this program writes there.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds something this program did not write")]
struct Unreadable {
    column: &'static str,
}

fn unreadable(column: &'static str) -> Error {
    Error::handler(Unreadable { column })
}

fn parsed<T: std::str::FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| unreadable(column))
}

fn time(row: &SqliteRow, column: &'static str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

fn run(row: &SqliteRow) -> Result<RunPrincipal, Error> {
    Ok(RunPrincipal {
        tenant: parsed(row, "tenant")?,
        subject: parsed(row, "subject")?,
        agent: parsed(row, "agent")?,
        session: parsed(row, "session")?,
        run: parsed(row, "run")?,
    })
}

pub(super) fn approval(row: &SqliteRow) -> Result<Approval, Error> {
    let document: &[u8] = row.try_get("document")?;
    let reasons: &str = row.try_get("reasons")?;
    let decided = match row.try_get::<Option<&str>, _>("decision")? {
        None => None,
        Some(_) => Some(decided(row)?),
    };
    Ok(Approval {
        id: parsed(row, "approval_id")?,
        run: run(row)?,
        call: CanonicalCall::parse(document).map_err(|_| unreadable("document"))?,
        risk: parsed(row, "risk")?,
        reasons: serde_json::from_str(reasons).map_err(|_| unreadable("reasons"))?,
        policy_version: row.try_get("policy_version")?,
        requested_at: time(row, "requested_at")?,
        deadline: time(row, "deadline")?,
        event: parsed(row, "request_event")?,
        recorded: row.try_get("request_recorded")?,
        decided,
    })
}

fn decided(row: &SqliteRow) -> Result<Decided, Error> {
    let by: Option<&str> = row.try_get("decided_by")?;
    Ok(Decided {
        decision: parsed(row, "decision")?,
        by: by
            .map(|by| by.parse().map_err(|_| unreadable("decided_by")))
            .transpose()?,
        own: row.try_get("own")?,
        unattended: row.try_get("unattended")?,
        comment: row.try_get("comment")?,
        at: time(row, "decided_at")?,
        event: parsed(row, "decision_event")?,
        recorded: row.try_get("decision_recorded")?,
    })
}

pub(super) fn redemption(row: &SqliteRow) -> Result<Redemption, Error> {
    let digest: &[u8] = row.try_get("digest")?;
    Ok(Redemption {
        run: run(row)?,
        call: parsed(row, "call")?,
        tool: row.try_get("tool")?,
        digest: digest.try_into().map_err(|_| unreadable("digest"))?,
        grant: parsed(row, "grant_id")?,
        redeemer: parsed(row, "redeemer")?,
        policy_version: row.try_get("policy_version")?,
        at: time(row, "redeemed_at")?,
        event: parsed(row, "event")?,
        recorded: row.try_get("recorded")?,
    })
}
