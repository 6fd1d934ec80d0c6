//! Statements on runs: finding them, ending them, asking them to stop.

use harombe_sql::Connection;
use harombe_types::{RunId, RunPrincipal, Timestamp};
use sqlx::SqliteExecutor;

use super::{Unit, refuse};
use crate::domain::{Owner, RunState};
use crate::error::Error;
use crate::store::rows::{HeaderRow, RunRow, RunView, state_number};

pub(super) async fn find(
    executor: impl SqliteExecutor<'_>,
    owner: &Owner,
    run: RunId,
) -> Result<Option<RunView>, sqlx::Error> {
    sqlx::query_as(
        "SELECT r.run_id, s.session_id, s.agent, r.state, r.started_ms, r.finished_ms, r.cursor \
         FROM runs r JOIN sessions s ON s.id = r.session \
         WHERE r.tenant = ? AND r.run_id = ? AND s.subject = ?",
    )
    .bind(owner.tenant.as_str())
    .bind(run.to_string())
    .bind(owner.subject.as_str())
    .fetch_optional(executor)
    .await
}

pub(super) async fn header(
    executor: impl SqliteExecutor<'_>,
    run: &RunPrincipal,
) -> Result<Option<HeaderRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT r.client_message_id, r.client_instructions, r.state, m.body \
         FROM runs r JOIN sessions s ON s.id = r.session JOIN messages m ON m.run = r.id AND m.ordinal = 0 \
         WHERE r.tenant = ? AND r.run_id = ? AND s.session_id = ? AND s.subject = ?",
    )
    .bind(run.tenant.as_str())
    .bind(run.run.to_string())
    .bind(run.session.to_string())
    .bind(run.subject.as_str())
    .fetch_optional(executor)
    .await
}

/// The run that the token names, or a refusal.
pub(super) async fn of(tx: &mut Connection, run: &RunPrincipal) -> Unit<RunRow> {
    let row: Option<RunRow> = sqlx::query_as(
        "SELECT r.id, r.session, r.state, r.epoch, r.lease_expires_ms, r.cursor, r.cancel_reason IS NOT NULL AS cancel_requested, r.tokens, r.bytes \
         FROM runs r JOIN sessions s ON s.id = r.session \
         WHERE r.tenant = ? AND r.run_id = ? AND s.session_id = ? AND s.subject = ?",
    )
    .bind(run.tenant.as_str())
    .bind(run.run.to_string())
    .bind(run.session.to_string())
    .bind(run.subject.as_str())
    .fetch_optional(tx)
    .await?;
    match row {
        Some(row) => Ok(row),
        None => refuse(Error::NotFound("run")),
    }
}

/// Ends a run and frees its session; the token is forgotten. Whether it was shown what may be anybody's words is `None` where
/// nobody said so.
pub(super) async fn end(
    tx: &mut Connection,
    run: &RunRow,
    state: RunState,
    saw_outside: Option<bool>,
    now: Timestamp,
) -> Unit<()> {
    sqlx::query(
        "UPDATE runs SET state = ?, finished_ms = ?, token = NULL, lease_expires_ms = 0, cursor = ?, tokens = ?, \
         bytes = ?, saw_outside = ? WHERE id = ?; \
         UPDATE sessions SET active_run = NULL, updated_ms = ?, turns = turns + ?, saw_outside = saw_outside OR ? \
         WHERE id = ?",
    )
    .bind(state_number(state))
    .bind(now.as_millis())
    .bind(run.cursor)
    .bind(run.tokens)
    .bind(run.bytes)
    .bind(saw_outside)
    .bind(run.id)
    .bind(now.as_millis())
    .bind(i64::from(state == RunState::Finished))
    .bind(saw_outside.unwrap_or_default())
    .bind(run.session)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn request_cancel(tx: &mut Connection, run: RunPrincipal, reason: String) -> Unit<RunState> {
    let row = of(tx, &run).await?;
    let state = row.state().or_else(refuse)?;
    if state == RunState::Active && !row.cancel_requested {
        sqlx::query("UPDATE runs SET cancel_reason = ? WHERE id = ?")
            .bind(reason)
            .bind(row.id)
            .execute(&mut *tx)
            .await?;
    }
    Ok(state)
}
