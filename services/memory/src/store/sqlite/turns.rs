//! Statements that begin, end and read turns.

use harombe_sql::{Connection, UnitError};
use sqlx::FromRow;

use super::{Unit, claimed, entries, leases, refuse, runs, sessions};
use crate::domain::{Begin, Begun, Content, Finish, Lease, Owner, RunState, Selection, Turns, UnderWay};
use crate::error::Error;
use crate::store::newest::{ClaimedSize, Said, Source, newest_turns};
use crate::store::rows::{RunRow, run_id, signed, state, unsigned};

pub(super) async fn begin(tx: &mut Connection, mut begin: Begin) -> Unit<Begun> {
    let owner = Owner {
        tenant: begin.run.tenant.clone(),
        subject: begin.run.subject.clone(),
    };
    let session = sessions::owned(tx, &owner, begin.run.session).await?;
    if session.agent != begin.run.agent.as_str() {
        return refuse(Error::Invalid(format!(
            "the session's agent is {}",
            session.agent
        )));
    }
    if let Some(begun) = begun_before(tx, session.id, &begin).await? {
        return Ok(begun);
    }
    if session.active_run.is_some() {
        return refuse(Error::SessionBusy);
    }
    let under_way = under_way(tx, &owner).await?;
    begin.most.admit(under_way).or_else(refuse)?;
    claimed::add(tx, session.id, std::mem::take(&mut begin.history)).await?;
    let begun = insert(tx, session.id, begin).await?;
    Ok(Begun {
        last_run: session.last_run_id,
        ..begun
    })
}

/// A session that has a run has one.
async fn under_way(tx: &mut Connection, owner: &Owner) -> Unit<UnderWay> {
    // SQLite does not know how few of all sessions these are
    let (of_tenant, of_subject) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE subject = ?2) FROM sessions INDEXED BY sessions_busy \
         WHERE tenant = ?1 AND active_run IS NOT NULL",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .fetch_one(tx)
    .await?;
    Ok(UnderWay {
        of_subject: unsigned(of_subject),
        of_tenant: unsigned(of_tenant),
    })
}

#[derive(FromRow)]
struct Earlier {
    id: i64,
    run_id: String,
    state: i64,
    cursor: i64,
    first_cursor: i64,
}

/// What the same message led to before. A repetition for the same run that has done nothing yet gets the lease again,
/// under a new epoch: whoever began it first can write no more.
async fn begun_before(tx: &mut Connection, session: i64, begin: &Begin) -> Unit<Option<Begun>> {
    let earlier: Option<Earlier> = sqlx::query_as(
        "SELECT id, run_id, state, cursor, first_cursor FROM runs WHERE session = ? AND client_message_id = ?",
    )
    .bind(session)
    .bind(&begin.client_message_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(earlier) = earlier else { return Ok(None) };
    let run = run_id(&earlier.run_id).or_else(refuse)?;
    let untouched =
        state(earlier.state).or_else(refuse)? == RunState::Active && earlier.cursor == earlier.first_cursor;
    let lease = if run == begin.run.run && untouched {
        Some(leases::take(tx, earlier.id, begin.expires).await?)
    } else {
        None
    };
    Ok(Some(Begun {
        run,
        lease,
        cursor: unsigned(earlier.cursor),
        last_run: None,
    }))
}

async fn insert(tx: &mut Connection, session: i64, begin: Begin) -> Unit<Begun> {
    let run = begin.run.run;
    let now = begin.now;
    let cursor = u64::try_from(begin.entries.len()).unwrap_or(u64::MAX);
    let inserted: Result<i64, sqlx::Error> = sqlx::query_scalar(
        "INSERT INTO runs (session, tenant, run_id, client_message_id, state, token, epoch, lease_expires_ms, \
         cursor, first_cursor, started_ms, tokens, bytes, client_instructions) \
         VALUES (?, ?, ?, ?, 1, ?, 1, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(session)
    .bind(begin.run.tenant.as_str())
    .bind(run.to_string())
    .bind(&begin.client_message_id)
    .bind(&begin.token)
    .bind(begin.expires.as_millis())
    .bind(signed(cursor))
    .bind(signed(cursor))
    .bind(now.as_millis())
    .bind(signed(begin.message.tokens))
    .bind(signed(begin.message.bytes))
    .bind(&begin.client_instructions)
    .fetch_one(&mut *tx)
    .await;
    let id = inserted.map_err(|error| match harombe_sql::Error::from(error) {
        error if error.is_unique_violation() => {
            UnitError::Refused(Error::Invalid("this run began with another message".to_owned()))
        }
        error => UnitError::Store(error),
    })?;
    add_messages(tx, id, 0, begin.message).await?;
    let empty = RunRow {
        id,
        session,
        state: 1,
        epoch: 1,
        lease_expires_ms: 0,
        cursor: 0,
        cancel_requested: false,
        tokens: 0,
        bytes: 0,
    };
    entries::write(tx, &empty, begin.entries, now).await?;
    sqlx::query("UPDATE sessions SET active_run = ?, updated_ms = ? WHERE id = ?")
        .bind(id)
        .bind(now.as_millis())
        .bind(session)
        .execute(&mut *tx)
        .await?;
    Ok(Begun {
        run,
        lease: Some(Lease {
            epoch: 1,
            expires: begin.expires,
        }),
        cursor,
        last_run: None,
    })
}

/// Adds messages to a turn, the first of them at `first`.
async fn add_messages(tx: &mut Connection, run: i64, first: i64, content: Content) -> Unit<()> {
    for (ordinal, body) in (first..).zip(content.messages) {
        sqlx::query("INSERT INTO messages (run, ordinal, body) VALUES (?, ?, ?)")
            .bind(run)
            .bind(ordinal)
            .bind(body)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn finish(tx: &mut Connection, finish: Finish) -> Unit<u64> {
    let mut row = runs::of(tx, &finish.run).await?;
    let ended = row.state().or_else(refuse)?;
    if ended == finish.state && unsigned(row.epoch) == finish.epoch {
        return Ok(unsigned(row.cursor));
    }
    row.driven_by(finish.epoch).or_else(refuse)?;
    row.tokens = row.tokens.saturating_add(signed(finish.messages.tokens));
    row.bytes = row.bytes.saturating_add(signed(finish.messages.bytes));
    add_messages(tx, row.id, 1, finish.messages).await?;
    row.cursor = entries::write(tx, &row, finish.entries, finish.now).await?;
    runs::end(tx, &row, finish.state, Some(finish.saw_outside), finish.now).await?;
    Ok(unsigned(row.cursor))
}

/// Turns of one session, read on one connection.
pub(super) struct Reader<'c> {
    pub(super) connection: &'c mut Connection,
    pub(super) session: i64,
}

impl Source for Reader<'_> {
    async fn newest(&mut self, selection: Selection) -> Result<Vec<Said>, harombe_sql::Error> {
        let said = sqlx::query_as(newest_turns(selection.which))
            .bind(self.session)
            .bind(i64::from(selection.count) + 1)
            .bind(signed(selection.bytes))
            .fetch_all(&mut *self.connection)
            .await?;
        Ok(said)
    }

    async fn claimed_sizes(&mut self) -> Result<Vec<ClaimedSize>, harombe_sql::Error> {
        let sizes = sqlx::query_as(
            "SELECT ordinal, bytes FROM claimed_turns WHERE session = ? ORDER BY ordinal DESC",
        )
        .bind(self.session)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(sizes)
    }

    async fn total(&mut self, which: Turns) -> Result<u64, harombe_sql::Error> {
        let total: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM runs WHERE session = ?1 AND (?2 OR (state IN (2, 4) \
             AND EXISTS (SELECT 1 FROM messages m WHERE m.run = runs.id AND m.ordinal > 0)))) \
             + (SELECT count(*) FROM claimed_turns WHERE session = ?1)",
        )
        .bind(self.session)
        .bind(which == Turns::All)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(unsigned(total))
    }

    async fn claimed(&mut self, oldest: i64) -> Result<Vec<Vec<u8>>, harombe_sql::Error> {
        let bodies = sqlx::query_scalar(
            "SELECT body FROM claimed_turns WHERE session = ? AND ordinal >= ? ORDER BY ordinal",
        )
        .bind(self.session)
        .bind(oldest)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(bodies)
    }
}
