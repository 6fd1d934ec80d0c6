//! Statements on what the vectors are still to be told.

use harombe_types::EventId;

use super::{Connection, Outbox, Unit, in_turn, share};
use crate::domain::{Owner, What, Work};
use crate::store::memories::rows::{OwnerRow, WorkRow, readable, what_number};
use crate::store::rows::signed;

pub(super) async fn add(
    tx: &mut Connection,
    owner: &Owner,
    point: &[u8],
    what: What,
    kept: Outbox,
) -> Unit<()> {
    if kept == Outbox::Unused {
        return Ok(());
    }
    sqlx::query("INSERT INTO outbox (tenant, subject, point, what) VALUES ($1, $2, $3, $4)")
        .bind(owner.tenant.as_str())
        .bind(owner.subject.as_str())
        .bind(point)
        .bind(what_number(what))
        .execute(tx)
        .await?;
    Ok(())
}

/// Adds the owner's memories that are about to be seen with this event.
pub(super) async fn add_unseen(
    tx: &mut Connection,
    (owner, row): (&Owner, &OwnerRow),
    event: EventId,
    kept: Outbox,
) -> Unit<()> {
    if kept == Outbox::Unused {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO outbox (tenant, subject, point, what) \
         SELECT $3, $4, point, 1 FROM memories WHERE owner = $1 AND event = $2 AND audit_index IS NULL ORDER BY seq",
    )
    .bind(row.id)
    .bind(event.as_uuid().as_bytes().as_slice())
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

pub(in crate::store) async fn finished(tx: &mut Connection, works: &[u64]) -> Unit<()> {
    let works: Vec<i64> = works.iter().map(|work| signed(*work)).collect();
    sqlx::query(concat!("DELETE FROM outbox WHERE seq ", among!(number "$1")))
        .bind(serde_json::json!(works).to_string())
        .execute(tx)
        .await?;
    Ok(())
}

pub(in crate::store) async fn works(connection: &mut Connection, limit: u32) -> Unit<Vec<Work>> {
    // from tenant to tenant by the index, however many rows each has
    let tenants: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE waiting (tenant) AS ( \
            SELECT min(tenant) FROM outbox \
            UNION ALL \
            SELECT (SELECT min(o.tenant) FROM outbox o WHERE o.tenant > waiting.tenant) FROM waiting \
            WHERE waiting.tenant IS NOT NULL) \
         SELECT tenant FROM waiting WHERE tenant IS NOT NULL \
         ORDER BY (SELECT min(o.seq) FROM outbox o WHERE o.tenant = waiting.tenant) LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let each = share(tenants.len(), limit);
    let mut lanes = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let rows: Vec<WorkRow> = sqlx::query_as(
            "SELECT seq, tenant, subject, point, what FROM outbox WHERE tenant = $1 ORDER BY seq LIMIT $2",
        )
        .bind(tenant)
        .bind(each)
        .fetch_all(&mut *connection)
        .await?;
        lanes.push(readable(rows));
    }
    Ok(in_turn(lanes, limit))
}
