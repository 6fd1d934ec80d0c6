//! Statements on leases: an epoch counts who may drive a run, and only goes up.

use harombe_sql::pg::PgConnection;
use harombe_types::{RunPrincipal, Timestamp};

use super::runs::{change, changed, columns};
use super::statements;
use super::{Unit, refuse};
use crate::domain::{Claimed, Expired, Held, Lease, Mark, NewEntry, Renewal, RunState};
use crate::error::Error;
use crate::store::rows::{ExpiredRow, RenewalRow, signed, state_number, unsigned};

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
    leases: &[Held],
    expires: Timestamp,
) -> Unit<Vec<Renewal>> {
    let tenants: Vec<String> = leases.iter().map(|held| held.tenant.to_string()).collect();
    let runs: Vec<String> = leases.iter().map(|held| held.run.to_string()).collect();
    let epochs: Vec<i64> = leases.iter().map(|held| signed(held.epoch)).collect();
    let rows: Vec<RenewalRow> = sqlx::query_as(statements::RENEW)
        .bind(tenants)
        .bind(runs)
        .bind(epochs)
        .bind(expires.as_millis())
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Whoever gave the lease up before finds its epoch over, and nobody driving under the next one.
pub(super) async fn release(
    connection: &mut PgConnection,
    run: &RunPrincipal,
    epoch: u64,
    now: Timestamp,
) -> Unit<()> {
    let release = change(statements::RELEASE, run)
        .bind(signed(epoch))
        .bind(now.as_millis());
    let (row, written) = changed(connection, release).await?;
    if written.is_none() && !row.was_given_up(epoch, now) {
        return row.driven_by(epoch).or_else(refuse);
    }
    Ok(())
}

pub(super) async fn expired(
    connection: &mut PgConnection,
    now: Timestamp,
    after: Option<Mark>,
    limit: u32,
) -> Result<Vec<ExpiredRow>, sqlx::Error> {
    let (since, id) = after.map_or((i64::MIN, i64::MIN), |mark| (mark.since, mark.id));
    sqlx::query_as(
        "SELECT id, tenant, run_id, epoch, lease_expires_ms, cancel_reason IS NOT NULL AS cancel_requested, token \
         FROM runs WHERE state = 1 AND lease_expires_ms <= $1 AND (lease_expires_ms, id) > ($2, $3) \
         ORDER BY lease_expires_ms, id LIMIT $4",
    )
    .bind(now.as_millis())
    .bind(since)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
}

pub(super) async fn active(connection: &mut PgConnection, now: Timestamp) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE lease_expires_ms <= $1) FROM runs WHERE state = 1",
    )
    .bind(now.as_millis())
    .fetch_one(connection)
    .await
}

pub(super) async fn claim(
    connection: &mut PgConnection,
    expired: &Expired,
    now: Timestamp,
    expires: Timestamp,
) -> Unit<Option<Claimed>> {
    let claimed: Option<(i64, i64, bool)> = sqlx::query_as(statements::CLAIM)
        .bind(expired.tenant.as_str())
        .bind(expired.run.to_string())
        .bind(signed(expired.epoch))
        .bind(now.as_millis())
        .bind(expires.as_millis())
        .fetch_optional(connection)
        .await?;
    Ok(claimed.map(|(epoch, cursor, cancel_requested)| Claimed {
        run: expired.run,
        token: expired.token.clone(),
        lease: Lease {
            epoch: unsigned(epoch),
            expires,
        },
        cursor: unsigned(cursor),
        cancel_requested,
    }))
}

pub(super) async fn end(
    connection: &mut PgConnection,
    expired: &Expired,
    state: RunState,
    entries: &[NewEntry],
    now: Timestamp,
) -> Unit<bool> {
    let (events, states) = columns(entries);
    let ended = sqlx::query(statements::END)
        .bind(expired.tenant.as_str())
        .bind(expired.run.to_string())
        .bind(signed(expired.epoch))
        .bind(now.as_millis())
        .bind(events)
        .bind(states)
        .bind(state_number(state))
        .bind(i64::from(state == RunState::Finished))
        .execute(connection)
        .await?;
    Ok(ended.rows_affected() > 0)
}
