//! Statements that make memories of what was said in a run.

use std::collections::HashSet;

use harombe_types::RunId;

use super::{Connection, Unit, in_turn, refuse, saving, share};
use crate::domain::{Remembering, Saved, SessionTurn, Unremembered};
use crate::store::memories::rows::{UnrememberedRow, readable};
use crate::store::rows::run_id;

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
    let rows: Vec<(Vec<u8>, Option<bool>, bool)> = sqlx::query_as(
        "SELECT m.body, r.saw_outside, \
                NOT s.claimed_remembered AND EXISTS (SELECT 1 FROM claimed_turns c WHERE c.session = s.id) \
         FROM runs r JOIN sessions s ON s.id = r.session JOIN messages m ON m.run = r.id \
         WHERE r.id = $1 AND r.run_id = $2 ORDER BY m.ordinal",
    )
    .bind(run.row)
    .bind(run.run.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let Some((_, saw_outside, has_claimed)) = rows.first() else {
        return Ok(None);
    };
    let (saw_outside, mut claimed) = (*saw_outside, Vec::new());
    if *has_claimed {
        claimed = sqlx::query_scalar(
            "SELECT c.body FROM runs r JOIN claimed_turns c ON c.session = r.session WHERE r.id = $1 ORDER BY c.ordinal",
        )
        .bind(run.row)
        .fetch_all(connection)
        .await?;
    }
    Ok(Some(SessionTurn {
        claimed,
        messages: rows.into_iter().map(|(body, ..)| body).collect(),
        saw_outside,
    }))
}

pub(in crate::store) async fn remember(tx: &mut Connection, turns: &Remembering) -> Unit<Saved> {
    // by their names: the row of a run that is gone may be another's by now
    let tenant = turns.owner.tenant.as_str();
    let runs = names(turns.turns.iter().map(|turn| turn.run));
    // sessions first, as everybody does who locks both
    sqlx::query(concat!(
        "SELECT id FROM sessions WHERE id IN (SELECT session FROM runs WHERE tenant = $1 AND run_id ",
        among!(text "$2"),
        ") ORDER BY id",
        locked!()
    ))
    .bind(tenant)
    .bind(&runs)
    .execute(&mut *tx)
    .await?;
    let marked: Vec<String> = sqlx::query_scalar(concat!(
        "UPDATE runs SET remembered = TRUE WHERE tenant = $1 AND NOT remembered AND run_id ",
        among!(text "$2"),
        " RETURNING run_id"
    ))
    .bind(tenant)
    .bind(&runs)
    .fetch_all(&mut *tx)
    .await?;
    let marked: HashSet<RunId> = marked
        .iter()
        .map(|run| run_id(run).or_else(refuse))
        .collect::<Unit<_>>()?;
    let there = || turns.turns.iter().filter(|turn| marked.contains(&turn.run));
    if there().any(|turn| turn.claimed) {
        sqlx::query(concat!(
            "UPDATE sessions SET claimed_remembered = TRUE \
             WHERE id IN (SELECT session FROM runs WHERE tenant = $1 AND run_id ",
            among!(text "$2"),
            ")"
        ))
        .bind(tenant)
        .bind(names(there().filter(|turn| turn.claimed).map(|turn| turn.run)))
        .execute(&mut *tx)
        .await?;
    }
    saving::save_new(tx, &turns.saving(there())).await
}

/// Runs as a list that a statement can be given.
fn names(runs: impl Iterator<Item = RunId>) -> String {
    serde_json::json!(runs.map(|run| run.to_string()).collect::<Vec<_>>()).to_string()
}
