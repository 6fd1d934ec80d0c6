//! Statements on what follows from other memories: links that are on record are drawn, and summaries go with what they tell of.

use std::collections::{BTreeMap, HashSet};

use harombe_types::{EventId, MemoryId};

use super::{Connection, Unit, columns, refuse};
use crate::store::memories::rows::{MemoryRow, OwnerRow, memory_id};

#[derive(sqlx::FromRow)]
struct Pending {
    memory: i64,
    taker: Vec<u8>,
    time_ms: i64,
}

/// Draws the links that an event records, where both sides still are as they were.
pub(super) async fn link(tx: &mut Connection, owner: &mut OwnerRow, event: EventId) -> Unit<()> {
    let event = event.as_uuid().as_bytes().as_slice();
    let pending: Vec<Pending> = sqlx::query_as(
        "SELECT l.memory, t.memory_id AS taker, t.time_ms FROM links l JOIN memories t ON t.seq = l.taker \
         WHERE l.event = $1 AND t.owner = $2 AND t.hidden_ms IS NULL ORDER BY l.memory",
    )
    .bind(event)
    .bind(owner.id)
    .fetch_all(&mut *tx)
    .await?;
    for link in pending {
        // as where a memory is saved in the place of another
        sqlx::query(
            "UPDATE memories SET superseded_by = $2, rev = $4, valid_to_ms = CASE WHEN time_ms > $3 THEN time_ms ELSE $3 END \
             WHERE seq = $1 AND valid_to_ms IS NULL AND hidden_ms IS NULL",
        )
        .bind(link.memory)
        .bind(&link.taker)
        .bind(link.time_ms)
        .bind(owner.next_rev())
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM fact_keys WHERE memory = $1")
            .bind(link.memory)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query("DELETE FROM links WHERE event = $1")
        .bind(event)
        .execute(tx)
        .await?;
    Ok(())
}

/// Summaries of a session that tell of a place in it, or may: of one that was not made here nobody knows what it tells of.
async fn telling_of(
    tx: &mut Connection,
    owner: &OwnerRow,
    session: &str,
    ordinal: i64,
) -> Unit<Vec<MemoryRow>> {
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m LEFT JOIN summaries s ON s.memory = m.seq \
         WHERE m.owner = $1 AND m.session = $2 AND m.kind = 3 AND (s.memory IS NULL OR $3 BETWEEN s.first AND s.last)"
    ))
    .bind(owner.id)
    .bind(session)
    .bind(ordinal)
    .fetch_all(tx)
    .await?;
    Ok(rows)
}

/// Dooms the summaries of turns that are doomed, and lets their sessions be looked at again.
pub(super) async fn doom(tx: &mut Connection, owner: &mut OwnerRow, doomed: &mut Vec<MemoryRow>) -> Unit<()> {
    let mut seen: HashSet<i64> = doomed.iter().map(|row| row.seq).collect();
    let places: Vec<(String, i64)> = doomed.iter().filter_map(MemoryRow::said_at).collect();
    let mut sessions = BTreeMap::<String, i64>::new();
    for (session, ordinal) in places {
        for summary in telling_of(tx, owner, &session, ordinal).await? {
            if seen.insert(summary.seq) {
                doomed.push(summary);
            }
        }
        sessions.insert(session, ordinal);
    }
    let doomed = serde_json::json!(seen).to_string();
    for (session, ordinal) in sessions {
        // one of its turns counts as changed; unequal, so that it is looked for in the session and not among all of the owner's
        sqlx::query(concat!(
            "UPDATE memories SET rev = $4 WHERE seq = (SELECT seq FROM memories WHERE owner = $1 AND session = $2 \
                AND kind = 1 AND rev <> 0 AND hidden_ms IS NULL AND NOT (seq ",
            among!(number "$3"),
            ") ORDER BY abs(ordinal - $5), seq LIMIT 1)"
        ))
        .bind(owner.id)
        .bind(&session)
        .bind(&doomed)
        .bind(owner.next_rev())
        .bind(ordinal)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Hides the summaries of a turn that was hidden: they are made again without it. Which it were.
pub(super) async fn hide(
    tx: &mut Connection,
    owner: &mut OwnerRow,
    hidden: &MemoryRow,
    since: i64,
) -> Unit<Vec<MemoryId>> {
    let Some((session, ordinal)) = hidden.said_at() else {
        return Ok(Vec::new());
    };
    let mut with_it = Vec::new();
    for summary in telling_of(tx, owner, &session, ordinal).await? {
        if summary.hidden_ms.is_none() {
            with_it.push(memory_id(summary.id()).or_else(refuse)?);
        }
        let rev = if summary.is_recorded() {
            owner.next_rev()
        } else {
            0
        };
        sqlx::query(
            "UPDATE memories SET hidden_ms = $2, hidden_by = 1, rev = $3 WHERE seq = $1 AND hidden_ms IS NULL",
        )
        .bind(summary.seq)
        .bind(since)
        .bind(rev)
        .execute(&mut *tx)
        .await?;
        // it covers nothing any more
        sqlx::query("DELETE FROM summaries WHERE memory = $1")
            .bind(summary.seq)
            .execute(&mut *tx)
            .await?;
    }
    Ok(with_it)
}
