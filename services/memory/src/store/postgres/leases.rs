//! Statements on leases: an epoch counts who may drive a run, and only goes up.

use harombe_sql::pg::PgConnection;
use harombe_types::{RunPrincipal, Timestamp};

use super::runs::{change, changed, changed_by, columns};
use super::statements;
use super::{Unit, refuse};
use crate::domain::{Claimed, Expired, Lease, NewEntry, Progress, RunState};
use crate::error::Error;
use crate::store::rows::{ExpiredRow, signed, unsigned};

pub(super) async fn acquire(
    connection: &mut PgConnection,
    run: &RunPrincipal,
    now: Timestamp,
    expires: Timestamp,
) -> Unit<(Lease, u64)> {
    let acquire = change(statements::ACQUIRE, run)
        .bind(now.as_millis())
        .bind(expires.as_millis());
    let (row, written) = changed(connection, acquire).await?;
    if let Some(epoch) = written {
        return Ok((Lease { epoch, expires }, unsigned(row.cursor)));
    }
    if row.state().or_else(refuse)? == RunState::Active {
        refuse(Error::LeaseLost)
    } else {
        refuse(Error::RunEnded)
    }
}

pub(super) async fn renew(
    connection: &mut PgConnection,
    run: &RunPrincipal,
    epoch: u64,
    expires: Timestamp,
) -> Unit<(Lease, Progress)> {
    let renew = change(statements::RENEW, run)
        .bind(signed(epoch))
        .bind(expires.as_millis());
    let (row, _) = changed_by(connection, renew, epoch).await?;
    let progress = Progress {
        cursor: unsigned(row.cursor),
        cancel_requested: row.cancel_requested,
    };
    Ok((Lease { epoch, expires }, progress))
}

pub(super) async fn release(
    connection: &mut PgConnection,
    run: &RunPrincipal,
    epoch: u64,
    now: Timestamp,
) -> Unit<()> {
    let release = change(statements::RELEASE, run)
        .bind(signed(epoch))
        .bind(now.as_millis());
    changed_by(connection, release, epoch).await.map(drop)
}

pub(super) async fn expired(
    connection: &mut PgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExpiredRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT tenant, run_id, epoch, token FROM runs WHERE state = 1 AND lease_expires_ms <= $1 \
         ORDER BY lease_expires_ms LIMIT $2",
    )
    .bind(now.as_millis())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
}

pub(super) async fn claim(
    connection: &mut PgConnection,
    expired: &Expired,
    now: Timestamp,
    expires: Timestamp,
) -> Unit<Option<Claimed>> {
    let claimed: Option<(i64, i64)> = sqlx::query_as(statements::CLAIM)
        .bind(expired.tenant.as_str())
        .bind(expired.run.to_string())
        .bind(signed(expired.epoch))
        .bind(now.as_millis())
        .bind(expires.as_millis())
        .fetch_optional(connection)
        .await?;
    Ok(claimed.map(|(epoch, cursor)| Claimed {
        run: expired.run,
        token: expired.token.clone(),
        lease: Lease {
            epoch: unsigned(epoch),
            expires,
        },
        cursor: unsigned(cursor),
    }))
}

pub(super) async fn fail(
    connection: &mut PgConnection,
    expired: &Expired,
    entries: &[NewEntry],
    now: Timestamp,
) -> Unit<()> {
    let (events, states) = columns(entries);
    sqlx::query(statements::FAIL)
        .bind(expired.tenant.as_str())
        .bind(expired.run.to_string())
        .bind(signed(expired.epoch))
        .bind(now.as_millis())
        .bind(events)
        .bind(states)
        .execute(connection)
        .await?;
    Ok(())
}
