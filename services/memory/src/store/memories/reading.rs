//! Statements that read memories. What the audit log does not have is not there.

use harombe_types::{MemoryId, SessionId, Timestamp};
use uuid::Uuid;

use super::{Connection, Unit, columns, listed, owners, refuse};
use crate::domain::{Choice, Listing, Memory, Owner, Revision, Stats, Stored, What};
use crate::error::Error;
use crate::store::memories::rows::{
    MemoryRow, StatsRow, StoredRow, kind_number, label_number, readable, what_number,
};
use crate::store::rows::signed;

pub(in crate::store) async fn revision(connection: &mut Connection, owner: &Owner) -> Unit<Revision> {
    let row = owners::find(connection, owner).await?;
    Ok(row.map(|row| row.revision()).unwrap_or_default())
}

fn memories(rows: Vec<MemoryRow>, owner: &Owner) -> Unit<Vec<Memory>> {
    let memories: Result<_, _> = rows.into_iter().map(|row| row.of(owner)).collect();
    memories.or_else(refuse)
}

pub(in crate::store) async fn changed_since(
    connection: &mut Connection,
    owner: &Owner,
    rev: u64,
    limit: u32,
) -> Unit<Vec<Memory>> {
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM owners o JOIN memories m ON m.owner = o.id \
         WHERE o.tenant = $1 AND o.subject = $2 AND m.rev > $3 ORDER BY m.rev LIMIT $4"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(signed(rev))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    memories(rows, owner)
}

pub(in crate::store) async fn at_points(
    connection: &mut Connection,
    owner: &Owner,
    points: &[Uuid],
) -> Unit<Vec<Memory>> {
    // by the points, and not through all that the owner has: hence a sum and an inequality, for which there is no index
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM owners o JOIN memories m ON m.owner + 0 = o.id \
         WHERE o.tenant = $1 AND o.subject = $2 AND m.rev <> 0 AND m.point ",
        among!(bytes "$3")
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(listed(points.iter().map(|point| point.as_bytes().as_slice())))
    .fetch_all(connection)
    .await?;
    memories(rows, owner)
}

pub(in crate::store) async fn best_of(
    connection: &mut Connection,
    owner: &Owner,
    choice: &Choice,
) -> Unit<Vec<Memory>> {
    // by the points, as above; each row that comes from here costs more than one that is left out there
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM ",
        in_order!(bytes "$3"),
        " ranked JOIN memories m ON m.point = ranked.value JOIN owners o ON o.id = m.owner + 0 \
         WHERE o.tenant = $1 AND o.subject = $2 AND m.audit_index IS NOT NULL AND m.hidden_ms IS NULL \
           AND ($4 OR m.valid_to_ms IS NULL) \
           AND NOT (m.kind = 1 AND coalesce(CASE WHEN m.run IS NULL THEN m.session = $5 ELSE m.run ",
        among!(text "$6"),
        " END, FALSE)) ORDER BY ranked.nth LIMIT $7"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(listed(
        choice.points.iter().map(|point| point.as_bytes().as_slice()),
    ))
    .bind(choice.superseded)
    .bind(choice.but_claimed_in.map(|session| session.to_string()))
    .bind(serde_json::json!(choice.but_of_runs).to_string())
    .bind(i64::try_from(choice.limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    memories(rows, owner)
}

pub(in crate::store) async fn memory(
    connection: &mut Connection,
    owner: &Owner,
    id: MemoryId,
) -> Unit<Memory> {
    let row: Option<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM owners o JOIN memories m ON m.owner = o.id \
         WHERE o.tenant = $1 AND o.subject = $2 AND m.rev > 0 AND m.memory_id = $3"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(id.as_uuid().as_bytes().as_slice())
    .fetch_optional(connection)
    .await?;
    match row {
        Some(row) => row.of(owner).or_else(refuse),
        None => refuse(Error::NotFound("memory")),
    }
}

/// A list for a filter; `None` when it narrows nothing.
fn wanted<T: serde::Serialize>(values: impl ExactSizeIterator<Item = T>) -> Option<String> {
    let empty = values.len() == 0;
    (!empty).then(|| serde_json::json!(values.collect::<Vec<T>>()).to_string())
}

pub(in crate::store) async fn list(
    connection: &mut Connection,
    owner: &Owner,
    listing: &Listing,
) -> Unit<Vec<Memory>> {
    let filter = &listing.filter;
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM owners o JOIN memories m ON m.owner = o.id \
         WHERE o.tenant = $1 AND o.subject = $2 AND m.rev > 0 AND m.seq < $3 \
           AND ($4 OR m.hidden_ms IS NULL) AND ($5 OR m.valid_to_ms IS NULL) \
           AND ($6 IS NULL OR m.agent = $6) \
           AND ($7 IS NULL OR m.session ",
        among!(text "$7"),
        ") AND ($8 IS NULL OR m.kind ",
        among!(number "$8"),
        ") AND ($9 IS NULL OR m.label ",
        among!(number "$9"),
        ") AND m.time_ms >= $10 AND m.time_ms < $11 ORDER BY m.seq DESC LIMIT $12"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(listing.before.map_or(i64::MAX, signed))
    .bind(listing.hidden)
    .bind(filter.superseded)
    .bind(&filter.agent)
    .bind(wanted(filter.sessions.iter().map(SessionId::to_string)))
    .bind(wanted(filter.kinds.iter().map(|kind| kind_number(*kind))))
    .bind(wanted(filter.labels.iter().map(|label| label_number(*label))))
    .bind(filter.from.map_or(i64::MIN, Timestamp::as_millis))
    .bind(filter.until.map_or(i64::MAX, Timestamp::as_millis))
    .bind(i64::from(listing.limit))
    .fetch_all(connection)
    .await?;
    memories(rows, owner)
}

pub(in crate::store) async fn all_after(
    connection: &mut Connection,
    owner: &Owner,
    seq: u64,
    limit: u32,
) -> Unit<Vec<Memory>> {
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM owners o JOIN memories m ON m.owner = o.id \
         WHERE o.tenant = $1 AND o.subject = $2 AND m.rev > 0 AND m.seq > $3 ORDER BY m.seq LIMIT $4"
    ))
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(signed(seq))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    memories(rows, owner)
}

pub(in crate::store) async fn stats(connection: &mut Connection, owner: &Owner) -> Unit<Stats> {
    let row: StatsRow = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE m.kind = 1) AS turns, count(*) FILTER (WHERE m.kind = 2) AS facts, \
                count(*) FILTER (WHERE m.kind = 3) AS summaries, \
                count(*) FILTER (WHERE m.hidden_ms IS NOT NULL) AS hidden, \
                count(*) FILTER (WHERE m.valid_to_ms IS NOT NULL) AS superseded, \
                CAST(coalesce(sum(octet_length(m.text)), 0) AS BIGINT) AS bytes, \
                min(m.time_ms) AS oldest_ms, max(m.time_ms) AS newest_ms \
         FROM owners o JOIN memories m ON m.owner = o.id WHERE o.tenant = $1 AND o.subject = $2 AND m.rev > 0",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .fetch_one(&mut *connection)
    .await?;
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE tenant = $1 AND subject = $2 AND what = $3")
            .bind(owner.tenant.as_str())
            .bind(owner.subject.as_str())
            .bind(what_number(What::Put))
            .fetch_one(connection)
            .await?;
    Ok(row.with_waiting(waiting))
}

pub(in crate::store) async fn stored(
    connection: &mut Connection,
    after: Option<Uuid>,
    limit: u32,
) -> Unit<Vec<Stored>> {
    let after = after.map_or_else(Vec::new, |point| point.as_bytes().to_vec());
    let rows: Vec<StoredRow> = sqlx::query_as(
        "SELECT m.seq, m.point, o.tenant, o.subject FROM memories m JOIN owners o ON o.id = m.owner \
         WHERE m.point > $1 AND m.rev > 0 ORDER BY m.point LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(readable(rows))
}
