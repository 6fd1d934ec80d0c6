//! Statements on whose memories they are, and how many.

use harombe_types::EventId;

use super::{Connection, Unit};
use crate::domain::{MemoryLimits, Owner};
use crate::store::memories::rows::OwnerRow;
use crate::store::refuse;
use crate::store::rows::{signed, unsigned};

/// A tenant's count is kept in so many parts.
const PARTS: i64 = 16;
/// So far below a tenant's limit nobody waits for others: as many as may be saved at the same time.
const NEAR: u64 = 64 * 256;

/// The owner, made by this event if there is none, held until the transaction ends.
pub(super) async fn hold(tx: &mut Connection, owner: &Owner, event: EventId) -> Unit<OwnerRow> {
    // its random part: no other of the name has had it
    let (_, incarnation) = event.as_uuid().as_u64_pair();
    let row = sqlx::query_as(
        "INSERT INTO owners (tenant, subject, incarnation) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, subject) DO UPDATE SET rev = owners.rev \
         RETURNING id, incarnation, rev, epoch, memories",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(signed(incarnation >> 2))
    .fetch_one(tx)
    .await?;
    Ok(row)
}

/// As [`hold`], if there is one.
pub(super) async fn hold_known(tx: &mut Connection, owner: &Owner) -> Unit<Option<OwnerRow>> {
    let row = sqlx::query_as(
        "UPDATE owners SET rev = rev WHERE tenant = $1 AND subject = $2 \
         RETURNING id, incarnation, rev, epoch, memories",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .fetch_optional(tx)
    .await?;
    Ok(row)
}

/// The owner without a hold.
pub(super) async fn find(connection: &mut Connection, owner: &Owner) -> Unit<Option<OwnerRow>> {
    let row = sqlx::query_as(
        "SELECT id, incarnation, rev, epoch, memories FROM owners WHERE tenant = $1 AND subject = $2",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Writes what has changed of a held owner.
pub(super) async fn keep(tx: &mut Connection, row: &OwnerRow) -> Unit<()> {
    sqlx::query("UPDATE owners SET rev = $2, epoch = $3, memories = $4 WHERE id = $1")
        .bind(row.id)
        .bind(row.rev)
        .bind(row.epoch)
        .bind(row.memories)
        .execute(tx)
        .await?;
    Ok(())
}

/// Counts memories of a held owner that are added, or taken away.
pub(super) async fn count(tx: &mut Connection, owner: &Owner, row: &mut OwnerRow, more: i64) -> Unit<()> {
    row.memories += more;
    sqlx::query(
        "INSERT INTO memory_counts (tenant, part, memories) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, part) DO UPDATE SET memories = memory_counts.memories + excluded.memories",
    )
    .bind(owner.tenant.as_str())
    .bind(row.id % PARTS)
    .bind(more)
    .execute(tx)
    .await?;
    Ok(())
}

/// Counts memories that are added to a held owner, or refuses them. Nearer to the tenant's limit than what may be saved at the
/// same time, whoever saves waits for the others.
pub(super) async fn admit(
    tx: &mut Connection,
    owner: &Owner,
    row: &mut OwnerRow,
    more: i64,
    most: MemoryLimits,
) -> Unit<()> {
    let of_subject = unsigned(row.memories + more);
    let others = of_tenant(tx, owner).await?;
    most.admit(of_subject, others + unsigned(more)).or_else(refuse)?;
    if others + NEAR > u64::from(most.per_tenant) {
        super::take_turn(tx, owner).await?;
        let others = of_tenant(tx, owner).await?;
        most.admit(of_subject, others + unsigned(more)).or_else(refuse)?;
    }
    count(tx, owner, row, more).await
}

async fn of_tenant(tx: &mut Connection, owner: &Owner) -> Unit<u64> {
    let all: Option<i64> =
        sqlx::query_scalar("SELECT CAST(sum(memories) AS BIGINT) FROM memory_counts WHERE tenant = $1")
            .bind(owner.tenant.as_str())
            .fetch_one(tx)
            .await?;
    Ok(unsigned(all.unwrap_or(0)))
}
