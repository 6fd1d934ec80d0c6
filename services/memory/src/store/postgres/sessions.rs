//! Statements on sessions.

use harombe_sql::pg::PgConnection;
use harombe_types::{AgentName, SessionId, Timestamp, WorkspaceId};

use super::{Unit, memories, refuse};
use crate::domain::{ErasedSession, Owner, Session};
use crate::error::Error;
use crate::store::memories::Outbox;
use crate::store::rows::SessionRow;

pub(super) async fn find(
    connection: &mut PgConnection,
    owner: &Owner,
    id: SessionId,
) -> Result<Option<SessionRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.id, s.session_id, s.subject, s.agent, s.created_ms, s.updated_ms, s.workspace_id, \
                s.turns, s.active_run, r.run_id AS active_run_id, \
                (SELECT e.run_id FROM runs e WHERE e.session = s.id AND e.state <> 1 ORDER BY e.id DESC LIMIT 1) \
                AS last_run_id, \
                s.saw_outside, EXISTS (SELECT FROM claimed_turns c WHERE c.session = s.id) AS has_claimed \
         FROM sessions s LEFT JOIN runs r ON r.id = s.active_run \
         WHERE s.tenant = $1 AND s.session_id = $2 AND s.subject = $3",
    )
    .bind(owner.tenant.as_str())
    .bind(id.to_string())
    .bind(owner.subject.as_str())
    .fetch_optional(connection)
    .await
}

/// The session, or a refusal.
pub(super) async fn owned(connection: &mut PgConnection, owner: &Owner, id: SessionId) -> Unit<SessionRow> {
    match find(connection, owner, id).await? {
        Some(row) => Ok(row),
        None => refuse(Error::NotFound("session")),
    }
}

/// The session, or a refusal. Nobody else changes it until the transaction ends.
pub(super) async fn held(tx: &mut PgConnection, owner: &Owner, id: SessionId) -> Unit<SessionRow> {
    sqlx::query("SELECT FROM sessions WHERE tenant = $1 AND session_id = $2 AND subject = $3 FOR UPDATE")
        .bind(owner.tenant.as_str())
        .bind(id.to_string())
        .bind(owner.subject.as_str())
        .execute(&mut *tx)
        .await?;
    // a statement of its own, so that it sees what was written while this one waited
    owned(tx, owner, id).await
}

/// Sessions behind `start` in the order of their last update.
pub(super) async fn page(
    connection: &mut PgConnection,
    owner: &Owner,
    limit: u32,
    start: Option<&SessionRow>,
) -> Result<Vec<SessionRow>, sqlx::Error> {
    let (updated, id) = start.map_or((i64::MAX, i64::MAX), |row| (row.updated_ms, row.id));
    sqlx::query_as(
        "SELECT s.id, s.session_id, s.subject, s.agent, s.created_ms, s.updated_ms, s.workspace_id, \
                s.turns, s.active_run, r.run_id AS active_run_id \
         FROM sessions s LEFT JOIN runs r ON r.id = s.active_run \
         WHERE s.tenant = $1 AND s.subject = $2 AND (s.updated_ms, s.id) < ($3, $4) \
         ORDER BY s.updated_ms DESC, s.id DESC LIMIT $5",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(updated)
    .bind(id)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
}

pub(super) async fn create(
    connection: &mut PgConnection,
    owner: &Owner,
    id: SessionId,
    agent: &AgentName,
    now: Timestamp,
) -> Unit<Session> {
    let made: Option<SessionRow> = sqlx::query_as(
        "INSERT INTO sessions (tenant, session_id, subject, agent, created_ms, updated_ms) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (tenant, session_id) DO NOTHING \
         RETURNING id, session_id, subject, agent, created_ms, updated_ms, workspace_id, turns, active_run, \
                   NULL::text AS active_run_id",
    )
    .bind(owner.tenant.as_str())
    .bind(id.to_string())
    .bind(owner.subject.as_str())
    .bind(agent.as_str())
    .bind(now.as_millis())
    .fetch_optional(&mut *connection)
    .await?;
    let row = match made {
        Some(row) => row,
        // an id that is another subject's looks like one that cannot be found
        None => owned(connection, owner, id).await?,
    };
    row.try_into().or_else(refuse)
}

pub(super) async fn delete(
    tx: &mut PgConnection,
    owner: &Owner,
    id: SessionId,
    outbox: Outbox,
) -> Unit<ErasedSession> {
    let session = held(tx, owner, id).await?;
    if session.active_run.is_some() {
        return refuse(Error::SessionBusy);
    }
    let memories = memories::erase_session(tx, owner, id, outbox).await?;
    sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(session.id)
        .execute(tx)
        .await?;
    Ok(session.erased(id, memories))
}

pub(super) async fn attach(
    connection: &mut PgConnection,
    owner: &Owner,
    id: SessionId,
    workspace: &WorkspaceId,
) -> Unit<String> {
    let bound: Option<String> = sqlx::query_scalar(
        "UPDATE sessions SET workspace_id = COALESCE(workspace_id, $4) \
         WHERE tenant = $1 AND session_id = $2 AND subject = $3 RETURNING workspace_id",
    )
    .bind(owner.tenant.as_str())
    .bind(id.to_string())
    .bind(owner.subject.as_str())
    .bind(workspace.to_string())
    .fetch_optional(connection)
    .await?;
    bound.map_or_else(|| refuse(Error::NotFound("session")), Ok)
}
