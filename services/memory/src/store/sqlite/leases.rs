//! Statements on leases: an epoch counts who may drive a run, and only goes up.

use harombe_sql::Connection;
use harombe_types::{RunPrincipal, Timestamp};
use sqlx::SqliteExecutor;

use super::{Unit, entries, refuse, runs};
use crate::domain::{Claimed, Expired, Lease, NewEntry, Progress, RunState};
use crate::error::Error;
use crate::store::rows::{ExpiredRow, RunRow, signed, unsigned};

pub(super) async fn acquire(
    tx: &mut Connection,
    run: RunPrincipal,
    now: Timestamp,
    expires: Timestamp,
) -> Unit<(Lease, u64)> {
    let row = runs::of(tx, &run).await?;
    if row.state().or_else(refuse)? != RunState::Active {
        return refuse(Error::RunEnded);
    }
    if row.lease_expires_ms > now.as_millis() {
        return refuse(Error::LeaseLost);
    }
    let lease = take(tx, row.id, expires).await?;
    Ok((lease, unsigned(row.cursor)))
}

/// Gives the run a new epoch: whoever drove it before can write no more.
pub(super) async fn take(tx: &mut Connection, run: i64, expires: Timestamp) -> Unit<Lease> {
    let epoch: i64 = sqlx::query_scalar(
        "UPDATE runs SET epoch = epoch + 1, lease_expires_ms = ? WHERE id = ? RETURNING epoch",
    )
    .bind(expires.as_millis())
    .bind(run)
    .fetch_one(tx)
    .await?;
    Ok(Lease {
        epoch: unsigned(epoch),
        expires,
    })
}

pub(super) async fn renew(
    tx: &mut Connection,
    run: RunPrincipal,
    epoch: u64,
    expires: Timestamp,
) -> Unit<(Lease, Progress)> {
    let row = runs::of(tx, &run).await?;
    row.driven_by(epoch).or_else(refuse)?;
    sqlx::query("UPDATE runs SET lease_expires_ms = ? WHERE id = ?")
        .bind(expires.as_millis())
        .bind(row.id)
        .execute(&mut *tx)
        .await?;
    let progress = Progress {
        cursor: unsigned(row.cursor),
        cancel_requested: row.cancel_requested,
    };
    Ok((Lease { epoch, expires }, progress))
}

pub(super) async fn release(tx: &mut Connection, run: RunPrincipal, epoch: u64, now: Timestamp) -> Unit<()> {
    let row = runs::of(tx, &run).await?;
    row.driven_by(epoch).or_else(refuse)?;
    sqlx::query("UPDATE runs SET lease_expires_ms = min(lease_expires_ms, ?) WHERE id = ?")
        .bind(now.as_millis())
        .bind(row.id)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

pub(super) async fn expired(
    executor: impl SqliteExecutor<'_>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExpiredRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT tenant, run_id, epoch, token FROM runs WHERE state = 1 AND lease_expires_ms <= ? \
         ORDER BY lease_expires_ms LIMIT ?",
    )
    .bind(now.as_millis())
    .bind(limit)
    .fetch_all(executor)
    .await
}

pub(super) async fn claim(
    tx: &mut Connection,
    expired: Expired,
    now: Timestamp,
    expires: Timestamp,
) -> Unit<Option<Claimed>> {
    let Some(row) = still_expired(tx, &expired, now).await? else {
        return Ok(None);
    };
    let lease = take(tx, row.id, expires).await?;
    Ok(Some(Claimed {
        run: expired.run,
        token: expired.token,
        lease,
        cursor: unsigned(row.cursor),
    }))
}

pub(super) async fn fail(
    tx: &mut Connection,
    expired: Expired,
    entries: Vec<NewEntry>,
    now: Timestamp,
) -> Unit<()> {
    let Some(mut row) = still_expired(tx, &expired, now).await? else {
        return Ok(());
    };
    row.cursor = entries::write(tx, &row, entries, now).await?;
    runs::end(tx, &row, RunState::Failed, now).await
}

/// The run, unless somebody took it over or ended it since it was listed.
async fn still_expired(tx: &mut Connection, expired: &Expired, now: Timestamp) -> Unit<Option<RunRow>> {
    let row = sqlx::query_as(
        "SELECT id, session, state, epoch, lease_expires_ms, cursor, \
         cancel_reason IS NOT NULL AS cancel_requested, tokens, bytes FROM runs \
         WHERE tenant = ? AND run_id = ? AND epoch = ? AND state = 1 AND lease_expires_ms <= ?",
    )
    .bind(expired.tenant.as_str())
    .bind(expired.run.to_string())
    .bind(signed(expired.epoch))
    .bind(now.as_millis())
    .fetch_optional(tx)
    .await?;
    Ok(row)
}
