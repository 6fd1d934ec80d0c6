//! Statements on sessions.

use harombe_sql::Connection;
use harombe_types::{AgentName, SessionId, Timestamp, WorkspaceId};
use sqlx::SqliteExecutor;

use super::{Unit, memories, refuse};
use crate::domain::{ErasedSession, Owner, Session};
use crate::error::Error;
use crate::store::memories::Outbox;
use crate::store::rows::SessionRow;

pub(super) async fn find(
    executor: impl SqliteExecutor<'_>,
    owner: &Owner,
    id: SessionId,
) -> Result<Option<SessionRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.id, s.session_id, s.subject, s.agent, s.created_ms, s.updated_ms, s.workspace_id, \
                s.turns, s.active_run, r.run_id AS active_run_id, \
                (SELECT e.run_id FROM runs e WHERE e.session = s.id AND e.state <> 1 ORDER BY e.id DESC LIMIT 1) \
                AS last_run_id, \
                s.saw_outside, EXISTS (SELECT 1 FROM claimed_turns c WHERE c.session = s.id) AS has_claimed \
         FROM sessions s LEFT JOIN runs r ON r.id = s.active_run \
         WHERE s.tenant = ? AND s.session_id = ? AND s.subject = ?",
    )
    .bind(owner.tenant.as_str())
    .bind(id.to_string())
    .bind(owner.subject.as_str())
    .fetch_optional(executor)
    .await
}

/// The session, or a refusal.
pub(super) async fn owned(tx: &mut Connection, owner: &Owner, id: SessionId) -> Unit<SessionRow> {
    match find(tx, owner, id).await? {
        Some(row) => Ok(row),
        None => refuse(Error::NotFound("session")),
    }
}

/// Sessions behind `start` in the order of their last update.
pub(super) async fn page(
    executor: impl SqliteExecutor<'_>,
    owner: &Owner,
    limit: u32,
    start: Option<&SessionRow>,
) -> Result<Vec<SessionRow>, sqlx::Error> {
    let (updated, id) = start.map_or((i64::MAX, i64::MAX), |row| (row.updated_ms, row.id));
    sqlx::query_as(
        "SELECT s.id, s.session_id, s.subject, s.agent, s.created_ms, s.updated_ms, s.workspace_id, \
                s.turns, s.active_run, r.run_id AS active_run_id \
         FROM sessions s LEFT JOIN runs r ON r.id = s.active_run \
         WHERE s.tenant = ? AND s.subject = ? AND (s.updated_ms, s.id) < (?, ?) \
         ORDER BY s.updated_ms DESC, s.id DESC LIMIT ?",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(updated)
    .bind(id)
    .bind(limit)
    .fetch_all(executor)
    .await
}

pub(super) async fn create(
    tx: &mut Connection,
    owner: Owner,
    id: SessionId,
    agent: AgentName,
    now: Timestamp,
) -> Unit<Session> {
    sqlx::query(
        "INSERT INTO sessions (tenant, session_id, subject, agent, created_ms, updated_ms) \
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, session_id) DO NOTHING",
    )
    .bind(owner.tenant.as_str())
    .bind(id.to_string())
    .bind(owner.subject.as_str())
    .bind(agent.as_str())
    .bind(now.as_millis())
    .bind(now.as_millis())
    .execute(&mut *tx)
    .await?;
    // an id that is another subject's looks like one that cannot be found
    let row = owned(tx, &owner, id).await?;
    row.try_into().or_else(refuse)
}

pub(super) async fn delete(
    tx: &mut Connection,
    owner: Owner,
    id: SessionId,
    outbox: Outbox,
) -> Unit<ErasedSession> {
    let session = owned(tx, &owner, id).await?;
    if session.active_run.is_some() {
        return refuse(Error::SessionBusy);
    }
    let memories = memories::erase_session(tx, &owner, id, outbox).await?;
    sqlx::query("DELETE FROM sessions WHERE id = ?")
        .bind(session.id)
        .execute(&mut *tx)
        .await?;
    Ok(session.erased(id, memories))
}

pub(super) async fn attach(
    tx: &mut Connection,
    owner: Owner,
    id: SessionId,
    workspace: WorkspaceId,
) -> Unit<String> {
    let session = owned(tx, &owner, id).await?;
    if let Some(bound) = session.workspace_id {
        return Ok(bound);
    }
    let workspace = workspace.to_string();
    sqlx::query("UPDATE sessions SET workspace_id = ? WHERE id = ?")
        .bind(&workspace)
        .bind(session.id)
        .execute(&mut *tx)
        .await?;
    Ok(workspace)
}
