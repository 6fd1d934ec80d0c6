//! Statements on leases: an epoch counts who may drive a run, and only goes up.

use harombe_sql::Connection;
use harombe_types::{RunPrincipal, Timestamp};
use sqlx::SqliteExecutor;

use super::{Unit, entries, refuse, runs};
use crate::domain::{Claimed, Expired, Held, Lease, Mark, NewEntry, Renewal, RunState};
use crate::error::Error;
use crate::store::rows::{ExpiredRow, RenewalRow, RunRow, signed, unsigned};

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

/// The leases that are asked for, with the rows of their runs. Value 1: a JSON array of tenant, run and epoch each.
macro_rules! asked {
    ($join:literal) => {
        concat!(
            "FROM (SELECT key AS place, value ->> 0 AS tenant, value ->> 1 AS run_id, value ->> 2 AS epoch \
                   FROM json_each(?1)) a ",
            $join,
            " JOIN runs r ON r.tenant = a.tenant AND r.run_id = a.run_id "
        )
    };
}

/// Two statements, however many leases there are.
pub(super) async fn renew(tx: &mut Connection, leases: Vec<Held>, expires: Timestamp) -> Unit<Vec<Renewal>> {
    let asked: Vec<_> = leases
        .iter()
        .map(|held| (held.tenant.as_str(), held.run.to_string(), signed(held.epoch)))
        .collect();
    let Ok(asked) = serde_json::to_string(&asked) else {
        return refuse(Error::Stored("lease"));
    };
    sqlx::query(concat!(
        "UPDATE runs SET lease_expires_ms = ?2 WHERE id IN (SELECT r.id ",
        asked!("CROSS"),
        "WHERE r.state = 1 AND r.epoch = a.epoch)"
    ))
    .bind(&asked)
    .bind(expires.as_millis())
    .execute(&mut *tx)
    .await?;
    let rows: Vec<RenewalRow> = sqlx::query_as(concat!(
        "SELECT a.epoch AS asked, r.state, r.epoch, r.cancel_reason IS NOT NULL AS cancel_requested ",
        asked!("LEFT"),
        "ORDER BY a.place"
    ))
    .bind(&asked)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Whoever gave the lease up before finds its epoch over, and nobody driving under the next one.
pub(super) async fn release(tx: &mut Connection, run: RunPrincipal, epoch: u64, now: Timestamp) -> Unit<()> {
    let row = runs::of(tx, &run).await?;
    if row.was_given_up(epoch, now) {
        return Ok(());
    }
    row.driven_by(epoch).or_else(refuse)?;
    sqlx::query(
        "UPDATE runs SET epoch = epoch + 1, lease_expires_ms = min(lease_expires_ms, ?) WHERE id = ?",
    )
    .bind(now.as_millis())
    .bind(row.id)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

pub(super) async fn expired(
    executor: impl SqliteExecutor<'_>,
    now: Timestamp,
    after: Option<Mark>,
    limit: u32,
) -> Result<Vec<ExpiredRow>, sqlx::Error> {
    let (since, id) = after.map_or((i64::MIN, i64::MIN), |mark| (mark.since, mark.id));
    sqlx::query_as(
        "SELECT id, tenant, run_id, epoch, lease_expires_ms, cancel_reason IS NOT NULL AS cancel_requested, token \
         FROM runs WHERE state = 1 AND lease_expires_ms <= ? AND (lease_expires_ms, id) > (?, ?) \
         ORDER BY lease_expires_ms, id LIMIT ?",
    )
    .bind(now.as_millis())
    .bind(since)
    .bind(id)
    .bind(limit)
    .fetch_all(executor)
    .await
}

pub(super) async fn active(
    executor: impl SqliteExecutor<'_>,
    now: Timestamp,
) -> Result<(i64, i64), sqlx::Error> {
    // SQLite does not know how few of all runs these are
    sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE lease_expires_ms <= ?) FROM runs INDEXED BY runs_active \
         WHERE state = 1",
    )
    .bind(now.as_millis())
    .fetch_one(executor)
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
        cancel_requested: row.cancel_requested,
    }))
}

pub(super) async fn end(
    tx: &mut Connection,
    expired: Expired,
    state: RunState,
    entries: Vec<NewEntry>,
    now: Timestamp,
) -> Unit<bool> {
    let Some(mut row) = still_expired(tx, &expired, now).await? else {
        return Ok(false);
    };
    row.cursor = entries::write(tx, &row, entries, now).await?;
    runs::end(tx, &row, state, None, now).await?;
    Ok(true)
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
