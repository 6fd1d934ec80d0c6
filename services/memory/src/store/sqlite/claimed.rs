//! Statements on turns that a client brought along. They are older than every run of their session.

use harombe_sql::{Connection, Database};
use sqlx::FromRow;

use super::rows::{signed, unsigned};
use super::{Unit, refuse};
use crate::domain::ClaimedTurn;
use crate::error::Error;

/// Keeps the turns, if the session has had no other.
pub(super) async fn add(tx: &mut Connection, session: i64, turns: Vec<ClaimedTurn>) -> Unit<()> {
    if turns.is_empty() {
        return Ok(());
    }
    let had: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM runs WHERE session = ?)")
        .bind(session)
        .fetch_one(&mut *tx)
        .await?;
    if had {
        return refuse(Error::NotFresh);
    }
    for (ordinal, turn) in (0_i64..).zip(turns) {
        sqlx::query(
            "INSERT INTO claimed_turns (session, ordinal, tokens, bytes, body) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(session)
        .bind(ordinal)
        .bind(signed(turn.tokens))
        .bind(signed(turn.bytes))
        .bind(turn.body)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct Size {
    ordinal: i64,
    tokens: i64,
    bytes: i64,
}

/// The newest turns that `fits` takes, given their tokens and bytes, oldest first; and whether older ones were left out.
pub(super) async fn newest(
    database: &Database,
    session: i64,
    mut fits: impl FnMut(u64, u64) -> bool,
) -> Result<(Vec<Vec<u8>>, bool), Error> {
    let sizes: Vec<Size> = sqlx::query_as(
        "SELECT ordinal, tokens, bytes FROM claimed_turns WHERE session = ? ORDER BY ordinal DESC",
    )
    .bind(session)
    .fetch_all(database.readers())
    .await
    .map_err(|error| database.error(error))?;
    let oldest = sizes
        .iter()
        .take_while(|size| fits(unsigned(size.tokens), unsigned(size.bytes)))
        .last();
    let Some(oldest) = oldest else {
        return Ok((Vec::new(), !sizes.is_empty()));
    };
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT body FROM claimed_turns WHERE session = ? AND ordinal >= ? ORDER BY ordinal",
    )
    .bind(session)
    .bind(oldest.ordinal)
    .fetch_all(database.readers())
    .await
    .map_err(|error| database.error(error))?;
    let left_out = bodies.len() < sizes.len();
    Ok((bodies, left_out))
}
