//! Statements on what of a session is not shown: which of its summaries tell of that.

use super::{Connection, Unit, columns, owners, refuse};
use crate::domain::{Memory, Owner, Shown, Unshown};
use crate::store::memories::rows::MemoryRow;

/// Memories of a turn that are expected, and most that are looked through for where the shown ones begin: one that is not among
/// these begins no later.
const OF_A_TURN: usize = 16;
const LOOKED_THROUGH: usize = 4000;

pub(in crate::store) async fn summaries_of_unshown(
    connection: &mut Connection,
    owner: &Owner,
    unshown: &Unshown,
) -> Unit<Vec<Memory>> {
    let Some(row) = owners::find(connection, owner).await? else {
        return Ok(Vec::new());
    };
    let session = unshown.session.to_string();
    let before = match &unshown.shown {
        Shown::From(ordinal) => i64::from(*ordinal),
        Shown::Runs(runs) => first_of(connection, row.id, &session, runs).await?,
    };
    // what another has the place of has a row as well: there are few of a stretch
    let rows: Vec<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM summaries s JOIN memories m ON m.seq = s.memory \
         WHERE s.owner = $1 AND s.session = $2 AND s.first < $3 \
           AND m.rev > 0 AND m.hidden_ms IS NULL AND m.valid_to_ms IS NULL \
         ORDER BY s.first DESC, s.last DESC LIMIT $4"
    ))
    .bind(row.id)
    .bind(&session)
    .bind(before)
    .bind(i64::from(unshown.limit))
    .fetch_all(connection)
    .await?;
    let summaries: Result<_, _> = rows.into_iter().map(|row| row.of(owner)).collect();
    summaries.or_else(refuse)
}

/// Where these runs begin among a session's newest memories; behind all of them when there is none of theirs.
async fn first_of(connection: &mut Connection, owner: i64, session: &str, runs: &[String]) -> Unit<i64> {
    let limit = runs
        .len()
        .saturating_add(1)
        .saturating_mul(OF_A_TURN)
        .min(LOOKED_THROUGH);
    let first: Option<i64> = sqlx::query_scalar(concat!(
        "SELECT min(ordinal) FROM (SELECT m.ordinal, m.run FROM memories m \
            WHERE m.owner = $1 AND m.session = $2 AND m.kind = 1 ORDER BY m.ordinal DESC LIMIT $3) newest WHERE run ",
        among!(text "$4")
    ))
    .bind(owner)
    .bind(session)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .bind(serde_json::json!(runs).to_string())
    .fetch_one(connection)
    .await?;
    Ok(first.unwrap_or(i64::MAX))
}
