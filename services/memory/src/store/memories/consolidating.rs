//! Statements of consolidation.

use harombe_types::Timestamp;

use super::{Connection, Unit, columns, in_turn, owners, refuse, share, steps, summaries};
use crate::domain::consolidation::{Behind, Link, Plan, Segment};
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
    // whose changes do not reach as far is another of the name
    if looked != signed(plan.from) || owner.rev < signed(plan.to) {
        return Ok(None);
    }
    for summary in &plan.summaries {
        if !summaries::holds(tx, &owner, summary).await? {
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
        made.extend(summaries::save(tx, &owner, summary).await?.steps);
    }
    sqlx::query("UPDATE owners SET looked = $2, looked_ms = $3 WHERE id = $1")
        .bind(owner.id)
        .bind(signed(plan.to))
        .bind(plan.now.as_millis())
        .execute(tx)
        .await?;
    Ok(Some(made))
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
