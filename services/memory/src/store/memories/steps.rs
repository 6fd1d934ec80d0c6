//! Statements on what the audit log does not have yet.

use harombe_types::{EventId, MemoryId, Timestamp};

use super::{Connection, Unit, in_turn, refuse, share};
use crate::domain::{Owner, Step};
use crate::store::memories::rows::{StepRow, readable, step_body};

pub(super) async fn add(tx: &mut Connection, step: &Step) -> Unit<()> {
    sqlx::query(
        "INSERT INTO steps (event, tenant, subject, memory_id, made_ms, body) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(step.event.as_uuid().as_bytes().as_slice())
    .bind(step.owner.tenant.as_str())
    .bind(step.owner.subject.as_str())
    .bind(step.deed.memory().map(|memory| memory.as_uuid().as_bytes().to_vec()))
    .bind(step.at.as_millis())
    .bind(step_body(step).or_else(refuse)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// The log has it.
pub(super) async fn remove(tx: &mut Connection, event: EventId) -> Unit<()> {
    sqlx::query("DELETE FROM steps WHERE event = $1")
        .bind(event.as_uuid().as_bytes().as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

/// The log refuses it for good; whether that is news.
pub(in crate::store) async fn set_aside(tx: &mut Connection, event: EventId) -> Unit<bool> {
    let changed = sqlx::query("UPDATE steps SET set_aside = $2 WHERE event = $1 AND NOT set_aside")
        .bind(event.as_uuid().as_bytes().as_slice())
        .bind(true)
        .execute(tx)
        .await?;
    Ok(changed.rows_affected() > 0)
}

/// All that were set aside wait again; how many.
pub(in crate::store) async fn take_up_again(tx: &mut Connection) -> Unit<u64> {
    let changed = sqlx::query("UPDATE steps SET set_aside = $1 WHERE set_aside")
        .bind(false)
        .execute(tx)
        .await?;
    Ok(changed.rows_affected())
}

/// Whether the log refuses some of an owner's.
pub(super) async fn are_set_aside(connection: &mut Connection, owner: &Owner) -> Unit<bool> {
    let refused = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM steps WHERE tenant = $1 AND subject = $2 AND set_aside)",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .fetch_one(connection)
    .await?;
    Ok(refused)
}

/// Those of an owner's that the log refuses will never be in it.
pub(super) async fn forget_set_aside(tx: &mut Connection, owner: &Owner) -> Unit<()> {
    sqlx::query("DELETE FROM steps WHERE tenant = $1 AND subject = $2 AND set_aside")
        .bind(owner.tenant.as_str())
        .bind(owner.subject.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// The oldest that wait of an owner's.
pub(in crate::store) async fn steps_of(
    connection: &mut Connection,
    owner: &Owner,
    limit: u32,
) -> Unit<Vec<Step>> {
    let rows: Vec<StepRow> = sqlx::query_as(
        "SELECT id, event, tenant, subject, made_ms, body FROM steps \
         WHERE tenant = $1 AND subject = $2 AND NOT set_aside ORDER BY id LIMIT $3",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(readable(rows))
}

/// Those about a memory, and the one that saved it: in the order in which they were made.
pub(super) async fn about(
    tx: &mut Connection,
    owner: &Owner,
    memory: MemoryId,
    saved_by: &[u8],
) -> Unit<Vec<Step>> {
    let rows: Vec<StepRow> = sqlx::query_as(
        "SELECT id, event, tenant, subject, made_ms, body FROM steps \
         WHERE tenant = $1 AND subject = $2 AND memory_id = $3 \
         UNION SELECT id, event, tenant, subject, made_ms, body FROM steps WHERE event = $4 \
         ORDER BY id",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(memory.as_uuid().as_bytes().as_slice())
    .bind(saved_by)
    .fetch_all(tx)
    .await?;
    read(rows)
}

/// Those with such an event that are not on record.
pub(super) async fn with_event(tx: &mut Connection, event: &[u8]) -> Unit<Vec<Step>> {
    let rows: Vec<StepRow> =
        sqlx::query_as("SELECT id, event, tenant, subject, made_ms, body FROM steps WHERE event = $1")
            .bind(event)
            .fetch_all(tx)
            .await?;
    read(rows)
}

fn read(mut rows: Vec<StepRow>) -> Unit<Vec<Step>> {
    rows.sort_by_key(|row| row.id);
    let steps: Result<_, _> = rows.into_iter().map(TryInto::try_into).collect();
    steps.or_else(refuse)
}

pub(in crate::store) async fn unrecorded(
    connection: &mut Connection,
    before: Timestamp,
    after: Timestamp,
    limit: u32,
) -> Unit<Vec<Step>> {
    let tenants: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE waiting (tenant) AS ( \
            SELECT min(tenant) FROM steps WHERE NOT set_aside \
            UNION ALL \
            SELECT (SELECT min(s.tenant) FROM steps s WHERE s.tenant > waiting.tenant AND NOT s.set_aside) \
            FROM waiting WHERE waiting.tenant IS NOT NULL) \
         SELECT tenant FROM waiting WHERE tenant IS NOT NULL \
         ORDER BY (SELECT min(s.id) FROM steps s WHERE s.tenant = waiting.tenant AND NOT s.set_aside) LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let mut lanes = Vec::with_capacity(tenants.len());
    let each = share(tenants.len(), limit);
    for tenant in tenants {
        let rows: Vec<StepRow> = sqlx::query_as(
            "SELECT id, event, tenant, subject, made_ms, body FROM steps \
             WHERE tenant = $1 AND NOT set_aside AND (made_ms < $2 OR made_ms > $3) ORDER BY id LIMIT $4",
        )
        .bind(tenant)
        .bind(before.as_millis())
        .bind(after.as_millis())
        .bind(each)
        .fetch_all(&mut *connection)
        .await?;
        lanes.push(readable(rows));
    }
    Ok(in_turn(lanes, limit))
}
