//! Statements that make memories of what was said in a run.

use super::{Connection, Unit, in_turn, saving, share};
use crate::domain::{OfRun, Saved, Saving, SessionTurn, Unremembered};
use crate::store::memories::rows::{UnrememberedRow, readable};

pub(in crate::store) async fn unremembered(
    connection: &mut Connection,
    limit: u32,
) -> Unit<Vec<Unremembered>> {
    let tenants: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE waiting (tenant) AS ( \
            SELECT min(tenant) FROM runs WHERE NOT remembered AND state IN (2, 4) \
            UNION ALL \
            SELECT (SELECT min(r.tenant) FROM runs r \
                    WHERE r.tenant > waiting.tenant AND NOT r.remembered AND r.state IN (2, 4)) \
            FROM waiting WHERE waiting.tenant IS NOT NULL) \
         SELECT tenant FROM waiting WHERE tenant IS NOT NULL \
         ORDER BY (SELECT min(r.id) FROM runs r \
                   WHERE r.tenant = waiting.tenant AND NOT r.remembered AND r.state IN (2, 4)) LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let each = share(tenants.len(), limit);
    let mut lanes = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let rows: Vec<UnrememberedRow> = sqlx::query_as(
            "SELECT r.id, s.tenant, s.subject, s.agent, s.session_id, r.run_id, r.started_ms, r.finished_ms \
             FROM runs r JOIN sessions s ON s.id = r.session \
             WHERE r.tenant = $1 AND NOT r.remembered AND r.state IN (2, 4) ORDER BY r.id LIMIT $2",
        )
        .bind(tenant)
        .bind(each)
        .fetch_all(&mut *connection)
        .await?;
        lanes.push(readable(rows));
    }
    Ok(in_turn(lanes, limit))
}

pub(in crate::store) async fn said_in(
    connection: &mut Connection,
    run: &Unremembered,
) -> Unit<Option<SessionTurn>> {
    let messages: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body FROM messages WHERE run = $1 ORDER BY ordinal")
            .bind(run.row)
            .fetch_all(&mut *connection)
            .await?;
    if messages.is_empty() {
        return Ok(None);
    }
    let saw_outside: Option<Option<bool>> = sqlx::query_scalar("SELECT saw_outside FROM runs WHERE id = $1")
        .bind(run.row)
        .fetch_optional(&mut *connection)
        .await?;
    let claimed = sqlx::query_scalar(
        "SELECT c.body FROM runs r JOIN sessions s ON s.id = r.session JOIN claimed_turns c ON c.session = s.id \
         WHERE r.id = $1 AND NOT s.claimed_remembered ORDER BY c.ordinal",
    )
    .bind(run.row)
    .fetch_all(connection)
    .await?;
    Ok(Some(SessionTurn {
        claimed,
        messages,
        saw_outside: saw_outside.flatten(),
    }))
}

pub(in crate::store) async fn remember(
    tx: &mut Connection,
    run: OfRun,
    memories: &Saving,
) -> Unit<Option<Saved>> {
    // the session first, as everybody does who locks both
    let session: Option<i64> = sqlx::query_scalar(concat!(
        "SELECT id FROM sessions WHERE id = (SELECT session FROM runs WHERE id = $1)",
        locked!()
    ))
    .bind(run.row)
    .fetch_optional(&mut *tx)
    .await?;
    // by its name too: the row of a run that is gone may be another's by now
    let marked =
        sqlx::query("UPDATE runs SET remembered = TRUE WHERE id = $1 AND run_id = $2 AND NOT remembered")
            .bind(run.row)
            .bind(run.run.to_string())
            .execute(&mut *tx)
            .await?;
    let (Some(session), 1) = (session, marked.rows_affected()) else {
        return Ok(None);
    };
    if run.claimed {
        sqlx::query("UPDATE sessions SET claimed_remembered = TRUE WHERE id = $1")
            .bind(session)
            .execute(&mut *tx)
            .await?;
    }
    saving::save(tx, memories).await.map(Some)
}
