//! Statements that hide, restore and erase memories.

use harombe_types::{MemoryId, SessionId, Timestamp};
use uuid::Uuid;

use super::{Connection, Outbox, Unit, columns, derived, outbox, owners, refuse, steps};
use crate::domain::{Act, Change, Changed, Erasure, Hide, Owner, Step, What, Which};
use crate::error::Error;
use crate::store::memories::rows::{MemoryRow, OwnerRow, owner};

const BY_MODEL: i64 = 1;
const BY_PERSON: i64 = 2;

/// Since when, by whom, and until when.
type Hidden = (Option<i64>, Option<i64>, Option<i64>);

fn hidden(row: &MemoryRow) -> Hidden {
    (row.hidden_ms, row.hidden_by, row.erase_ms)
}

/// As it should be after the change.
fn wanted(row: &MemoryRow, change: &Change) -> Hidden {
    let since = row.hidden_ms.or(Some(change.now.as_millis()));
    match change.act {
        Act::Restore => (None, None, None),
        Act::Hide(Hide::ByModel) if row.hidden_ms.is_some() => hidden(row),
        Act::Hide(Hide::ByModel) => (since, Some(BY_MODEL), None),
        Act::Hide(Hide::ByPerson { .. }) if row.erase_ms.is_some() => hidden(row),
        Act::Hide(Hide::ByPerson { erase_at }) => (since, Some(BY_PERSON), Some(erase_at.as_millis())),
    }
}

async fn find(tx: &mut Connection, owner: &OwnerRow, id: MemoryId) -> Unit<Option<MemoryRow>> {
    let row = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.owner = $1 AND m.memory_id = $2"
    ))
    .bind(owner.id)
    .bind(id.as_uuid().as_bytes().as_slice())
    .fetch_optional(tx)
    .await?;
    Ok(row)
}

pub(in crate::store) async fn change(tx: &mut Connection, change: &Change) -> Unit<Changed> {
    let Some(mut owner) = owners::hold_known(tx, &change.owner).await? else {
        return refuse(Error::NotFound("memory"));
    };
    let Some(row) = find(tx, &owner, change.id).await? else {
        return refuse(Error::NotFound("memory"));
    };
    let wanted = wanted(&row, change);
    if wanted != hidden(&row) {
        // what nobody has seen yet needs no revision
        let rev = if row.is_recorded() { owner.next_rev() } else { 0 };
        sqlx::query(
            "UPDATE memories SET hidden_ms = $2, hidden_by = $3, erase_ms = $4, rev = $5 WHERE seq = $1",
        )
        .bind(row.seq)
        .bind(wanted.0)
        .bind(wanted.1)
        .bind(wanted.2)
        .bind(rev)
        .execute(&mut *tx)
        .await?;
        let with_it = if row.hidden_ms.is_none() && wanted.0.is_some() {
            derived::hide(tx, &mut owner, &row, change.now.as_millis()).await?
        } else {
            Vec::new()
        };
        owners::keep(tx, &owner).await?;
        steps::add(tx, &change.step(&with_it)).await?;
    }
    let steps = steps::about(tx, &change.owner, change.id, row.event()).await?;
    let Some(row) = find(tx, &owner, change.id).await? else {
        return refuse(Error::NotFound("memory"));
    };
    Ok(Changed {
        memory: row.of(&change.owner).or_else(refuse)?,
        steps,
    })
}

pub(in crate::store) async fn erase(tx: &mut Connection, erasure: &Erasure, kept: Outbox) -> Unit<Vec<Step>> {
    let held = owners::hold_known(tx, &erasure.owner).await?;
    let mut doomed = match &held {
        Some(owner) => doomed(tx, owner, erasure).await?,
        None => Vec::new(),
    };
    let (Some(mut owner), false) = (held, doomed.is_empty()) else {
        return not_there(tx, erasure).await;
    };
    derived::doom(tx, &mut owner, &mut doomed).await?;
    let mut erased = Vec::with_capacity(doomed.len());
    for row in &doomed {
        sqlx::query("DELETE FROM memories WHERE seq = $1")
            .bind(row.seq)
            .execute(&mut *tx)
            .await?;
        outbox::add(tx, &erasure.owner, row.point(), What::Delete, kept).await?;
        let id = Uuid::from_slice(row.id()).map_err(|_| Error::Stored("memory id"));
        erased.push(MemoryId::from(id.or_else(refuse)?));
    }
    owner.epoch += 1;
    let fewer = i64::try_from(doomed.len()).unwrap_or(i64::MAX);
    owners::count(tx, &erasure.owner, &mut owner, -fewer).await?;
    owners::keep(tx, &owner).await?;
    let step = erasure.step(&erased);
    steps::add(tx, &step).await?;
    Ok(vec![step])
}

/// What an erasure comes to that finds nothing: the one memory may be gone, and the log not know it.
async fn not_there(tx: &mut Connection, erasure: &Erasure) -> Unit<Vec<Step>> {
    let Which::One(id) = erasure.which else {
        return Ok(Vec::new());
    };
    let steps = steps::about(tx, &erasure.owner, id, &[]).await?;
    if steps.is_empty() {
        return refuse(Error::NotFound("memory"));
    }
    Ok(steps)
}

async fn doomed(tx: &mut Connection, owner: &OwnerRow, erasure: &Erasure) -> Unit<Vec<MemoryRow>> {
    let limit = match erasure.which {
        Which::One(id) => return Ok(find(tx, owner, id).await?.into_iter().collect()),
        Which::Due(limit) => limit,
    };
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.owner = $1 AND m.erase_ms <= $2 ORDER BY m.erase_ms LIMIT $3"
    ))
    .bind(owner.id)
    .bind(erasure.now.as_millis())
    .bind(i64::from(limit))
    .fetch_all(tx)
    .await?;
    Ok(rows)
}

/// Erases the memories of a session; how many.
pub(in crate::store) async fn erase_session(
    tx: &mut Connection,
    whose: &Owner,
    session: SessionId,
    kept: Outbox,
) -> Unit<u64> {
    let Some(mut owner) = owners::hold_known(tx, whose).await? else {
        return Ok(0);
    };
    let session = session.to_string();
    if kept == Outbox::Kept {
        sqlx::query(
            "INSERT INTO outbox (tenant, subject, point, what) \
             SELECT $3, $4, point, 2 FROM memories WHERE owner = $1 AND session = $2 ORDER BY seq",
        )
        .bind(owner.id)
        .bind(&session)
        .bind(whose.tenant.as_str())
        .bind(whose.subject.as_str())
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("DELETE FROM summary_work WHERE owner = $1 AND session = $2")
        .bind(owner.id)
        .bind(&session)
        .execute(&mut *tx)
        .await?;
    let erased = sqlx::query("DELETE FROM memories WHERE owner = $1 AND session = $2")
        .bind(owner.id)
        .bind(&session)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    if erased > 0 {
        owner.epoch += 1;
        let fewer = i64::try_from(erased).unwrap_or(i64::MAX);
        owners::count(tx, whose, &mut owner, -fewer).await?;
        owners::keep(tx, &owner).await?;
    }
    Ok(erased)
}

pub(in crate::store) async fn due_erasures(
    connection: &mut Connection,
    now: Timestamp,
    limit: u32,
) -> Unit<Vec<Owner>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT o.tenant, o.subject FROM memories m JOIN owners o ON o.id = m.owner \
         WHERE m.erase_ms <= $1 LIMIT $2",
    )
    .bind(now.as_millis())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let owners: Result<_, _> = rows
        .iter()
        .map(|(tenant, subject)| owner(tenant, subject))
        .collect();
    owners.or_else(refuse)
}
