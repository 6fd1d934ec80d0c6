//! Statements on turns that a client brought along. They are older than every run of their session.

use harombe_sql::Connection;

use super::{Unit, refuse};
use crate::domain::ClaimedTurn;
use crate::error::Error;
use crate::store::rows::signed;

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
