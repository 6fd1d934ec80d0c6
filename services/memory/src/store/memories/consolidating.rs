//! Statements of consolidation.

use harombe_types::{MemoryId, Timestamp};

use super::{Connection, Unit, columns, in_turn, owners, refuse, saving, share, steps};
use crate::domain::consolidation::{Behind, Former, Link, NewSummary, Plan, Segment, Told};
use crate::domain::{Memory, Owner, Step};
use crate::error::Error;
use crate::store::memories::rows::{MemoryRow, OwnerRow, owner, readable};
use crate::store::rows::{signed, unsigned};

#[derive(sqlx::FromRow)]
struct BehindRow {
    tenant: String,
    subject: String,
    looked: i64,
    rev: i64,
}

impl TryFrom<BehindRow> for Behind {
    type Error = Error;

    fn try_from(row: BehindRow) -> Result<Self, Error> {
        Ok(Self {
            owner: owner(&row.tenant, &row.subject)?,
            looked: unsigned(row.looked),
            rev: unsigned(row.rev),
        })
    }
}

pub(in crate::store) async fn behind(connection: &mut Connection, limit: u32) -> Unit<Vec<Behind>> {
    let tenants: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE waiting (tenant) AS ( \
            SELECT min(tenant) FROM owners WHERE looked < rev \
            UNION ALL \
            SELECT (SELECT min(o.tenant) FROM owners o WHERE o.tenant > waiting.tenant AND o.looked < o.rev) \
            FROM waiting WHERE waiting.tenant IS NOT NULL) \
         SELECT tenant FROM waiting WHERE tenant IS NOT NULL \
         ORDER BY (SELECT min(o.looked_ms) FROM owners o WHERE o.tenant = waiting.tenant AND o.looked < o.rev), tenant LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let each = share(tenants.len(), limit);
    let mut lanes = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let rows: Vec<BehindRow> = sqlx::query_as(
            "SELECT tenant, subject, looked, rev FROM owners WHERE tenant = $1 AND looked < rev \
             ORDER BY looked_ms, id LIMIT $2",
        )
        .bind(tenant)
        .bind(each)
        .fetch_all(&mut *connection)
        .await?;
        lanes.push(readable(rows));
    }
    Ok(in_turn(lanes, limit))
}

pub(in crate::store) async fn count_behind(connection: &mut Connection) -> Unit<u64> {
    let behind: i64 = sqlx::query_scalar("SELECT count(*) FROM owners WHERE looked < rev")
        .fetch_one(connection)
        .await?;
    Ok(unsigned(behind))
}

pub(in crate::store) async fn put_off(tx: &mut Connection, owner: &Owner, now: Timestamp) -> Unit<()> {
    sqlx::query("UPDATE owners SET looked_ms = $3 WHERE tenant = $1 AND subject = $2")
        .bind(owner.tenant.as_str())
        .bind(owner.subject.as_str())
        .bind(now.as_millis())
        .execute(tx)
        .await?;
    Ok(())
}

pub(in crate::store) async fn alike(
    connection: &mut Connection,
    owner: &Owner,
    keys: &[i64],
    limit: u32,
) -> Unit<Vec<Memory>> {
    let rows: Vec<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.seq IN (SELECT k.memory FROM owners o JOIN fact_keys k ON k.owner = o.id \
            WHERE o.tenant = $1 AND o.subject = $2 AND k.key ",
        among!(number "$3"),
        ") AND m.rev > 0 AND m.valid_to_ms IS NULL AND m.hidden_ms IS NULL \
           AND NOT EXISTS (SELECT 1 FROM links l WHERE l.memory = m.seq) ORDER BY m.seq DESC LIMIT $4"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(serde_json::json!(keys).to_string())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let memories: Result<_, _> = rows.into_iter().map(|row| row.of(owner)).collect();
    memories.or_else(refuse)
}

#[derive(sqlx::FromRow)]
struct FormerRow {
    memory_id: Vec<u8>,
    rev: i64,
    valid_to_ms: Option<i64>,
    hidden_ms: Option<i64>,
    last: i64,
}

pub(in crate::store) async fn told(
    connection: &mut Connection,
    owner: &Owner,
    segment: Segment,
) -> Unit<Told> {
    let Some(row) = owners::find(connection, owner).await? else {
        return Ok(Told::default());
    };
    let session = segment.session.to_string();
    let former: Option<FormerRow> = sqlx::query_as(
        "SELECT m.memory_id, m.rev, m.valid_to_ms, m.hidden_ms, s.last FROM summaries s \
         JOIN memories m ON m.seq = s.memory WHERE s.owner = $1 AND s.session = $2 AND s.first = $3 \
           AND (m.valid_to_ms IS NULL OR EXISTS (SELECT 1 FROM memories t \
                WHERE t.owner = m.owner AND t.memory_id = m.superseded_by AND t.hidden_ms IS NULL)) \
         ORDER BY s.last DESC, m.seq DESC LIMIT 1",
    )
    .bind(row.id)
    .bind(&session)
    .bind(i64::from(segment.first))
    .fetch_optional(&mut *connection)
    .await?;
    let covered = former.as_ref().map_or(0, |former| former.last);
    let (turns, new): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE ordinal > $5) FROM memories \
         WHERE owner = $1 AND session = $2 AND ordinal BETWEEN $3 AND $4 \
           AND kind = 1 AND rev > 0 AND hidden_ms IS NULL AND valid_to_ms IS NULL",
    )
    .bind(row.id)
    .bind(&session)
    .bind(i64::from(segment.first))
    .bind(i64::from(segment.last))
    .bind(covered)
    .fetch_one(&mut *connection)
    .await?;
    let over: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM memories WHERE owner = $1 AND session = $2 AND ordinal > $3 AND kind = 1 AND rev > 0)",
    )
    .bind(row.id)
    .bind(&session)
    .bind(i64::from(segment.last))
    .fetch_one(connection)
    .await?;
    let former = former.map(|former| {
        let id = uuid::Uuid::from_slice(&former.memory_id).map_err(|_| Error::Stored("memory id"))?;
        Ok(Former {
            id: MemoryId::from(id),
            pending: former.rev == 0,
            current: former.valid_to_ms.is_none() && former.hidden_ms.is_none(),
        })
    });
    Ok(Told {
        turns: u32::try_from(turns).unwrap_or(u32::MAX),
        new: u32::try_from(new).unwrap_or(u32::MAX),
        over,
        former: former.transpose().or_else(refuse)?,
    })
}

pub(in crate::store) async fn turns(
    connection: &mut Connection,
    owner: &Owner,
    segment: Segment,
    limit: u32,
) -> Unit<Vec<Memory>> {
    let rows: Vec<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM owners o JOIN memories m ON m.owner = o.id WHERE o.tenant = $1 AND o.subject = $2 AND m.session = $3 \
           AND m.ordinal BETWEEN $4 AND $5 AND m.kind = 1 AND m.rev > 0 AND m.hidden_ms IS NULL AND m.valid_to_ms IS NULL \
         ORDER BY m.ordinal, m.seq LIMIT $6"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(segment.session.to_string())
    .bind(i64::from(segment.first))
    .bind(i64::from(segment.last))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let memories: Result<_, _> = rows.into_iter().map(|row| row.of(owner)).collect();
    memories.or_else(refuse)
}

pub(in crate::store) async fn consolidate(tx: &mut Connection, plan: &Plan) -> Unit<Option<Vec<Step>>> {
    let Some(owner) = owners::hold_known(tx, &plan.owner).await? else {
        return Ok(None);
    };
    let looked: i64 = sqlx::query_scalar("SELECT looked FROM owners WHERE id = $1")
        .bind(owner.id)
        .fetch_one(&mut *tx)
        .await?;
    if looked != signed(plan.from) {
        return Ok(None);
    }
    for summary in &plan.summaries {
        if !still_there(tx, &owner, summary).await? {
            return Ok(None);
        }
    }
    key(tx, &owner, plan).await?;
    let links = link(tx, &owner, plan).await?;
    let mut made = Vec::new();
    if !links.is_empty() {
        let step = plan.step(&links);
        steps::add(tx, &step).await?;
        made.push(step);
    }
    for summary in &plan.summaries {
        made.extend(summarise(tx, &owner, summary).await?);
    }
    sqlx::query("UPDATE owners SET looked = $2, looked_ms = $3 WHERE id = $1")
        .bind(owner.id)
        .bind(signed(plan.to))
        .bind(plan.now.as_millis())
        .execute(tx)
        .await?;
    Ok(Some(made))
}

/// Whether all that a summary was made of can still be told of.
async fn still_there(tx: &mut Connection, owner: &OwnerRow, summary: &NewSummary) -> Unit<bool> {
    let sources: Vec<i64> = summary.sources.iter().map(|seq| signed(*seq)).collect();
    let there: i64 = sqlx::query_scalar(concat!(
        "SELECT count(*) FROM memories WHERE owner = $1 AND hidden_ms IS NULL AND seq ",
        among!(number "$2")
    ))
    .bind(owner.id)
    .bind(serde_json::json!(sources).to_string())
    .fetch_one(tx)
    .await?;
    Ok(usize::try_from(there).is_ok_and(|there| there == sources.len()))
}

async fn key(tx: &mut Connection, owner: &OwnerRow, plan: &Plan) -> Unit<()> {
    for fact in &plan.facts {
        for key in &fact.keys {
            sqlx::query(
                "INSERT INTO fact_keys (owner, key, memory) SELECT owner, $2, seq FROM memories \
                 WHERE seq = $3 AND owner = $1 ON CONFLICT DO NOTHING",
            )
            .bind(owner.id)
            .bind(key)
            .bind(signed(fact.seq))
            .execute(&mut *tx)
            .await?;
        }
    }
    Ok(())
}

/// Notes links that are to be seen when they are on record; answers with those of memories that still are as they were.
async fn link(tx: &mut Connection, owner: &OwnerRow, plan: &Plan) -> Unit<Vec<Link>> {
    let mut noted = Vec::with_capacity(plan.links.len());
    for link in &plan.links {
        let done = sqlx::query(
            "INSERT INTO links (memory, taker, event) SELECT m.seq, t.seq, $4 FROM memories m \
             JOIN memories t ON t.owner = m.owner AND t.memory_id = $3 AND t.rev > 0 AND t.hidden_ms IS NULL \
             WHERE m.owner = $1 AND m.memory_id = $2 AND m.rev > 0 AND m.hidden_ms IS NULL AND m.valid_to_ms IS NULL \
             ON CONFLICT DO NOTHING",
        )
        .bind(owner.id)
        .bind(link.old.as_uuid().as_bytes().as_slice())
        .bind(link.by.as_uuid().as_bytes().as_slice())
        .bind(plan.event.as_uuid().as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() > 0 {
            noted.push(*link);
        }
    }
    Ok(noted)
}

async fn summarise(tx: &mut Connection, owner: &OwnerRow, summary: &NewSummary) -> Unit<Vec<Step>> {
    let saved = saving::save(tx, &summary.saving).await?;
    for memory in &saved.memories {
        sqlx::query(
            "INSERT INTO summaries (memory, owner, session, first, last) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(signed(memory.seq))
        .bind(owner.id)
        .bind(summary.segment.session.to_string())
        .bind(i64::from(summary.segment.first))
        .bind(i64::from(summary.reaches))
        .execute(&mut *tx)
        .await?;
    }
    Ok(saved.steps)
}
