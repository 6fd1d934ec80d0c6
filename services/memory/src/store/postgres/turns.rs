//! Statements that begin and read turns.

use harombe_sql::pg::PgConnection;
use sqlx::FromRow;

use super::runs::columns;
use super::{SCHEMA, Unit, refuse, sessions, statements};
use crate::domain::{Begin, Begun, ClaimedTurn, Lease, Owner, RunState, Selection, Turns, UnderWay};
use crate::error::Error;
use crate::store::newest::{ClaimedSize, Said, Source, newest_turns};
use crate::store::rows::{run_id, signed, state, unsigned};

/// So far below a limit nobody takes turns. A statement does not count those that begin at the same time, of which there are
/// as many as connections; nearer to it, whoever begins waits for the others.
const NEAR: u64 = 64;

/// Begins the turn in one statement, if the session is free, the message is new and brings no history, and the limits are
/// far; else nothing is done and [`begin`] says why, or does it.
pub(super) async fn begin_at_once(connection: &mut PgConnection, begin: &Begin) -> Unit<Option<Begun>> {
    if !begin.history.is_empty() {
        return Ok(None);
    }
    let far = |most: u32| i64::from(most) - signed(NEAR);
    let most = (far(begin.most.per_subject), far(begin.most.per_tenant));
    let last_run = insert(connection, begin, most).await?;
    Ok(last_run.map(|last_run| begun(begin, last_run)))
}

/// Begins the turn in the open transaction, whatever the session has had before, and waits for nobody of another session.
/// Nothing is done when a limit is too near for that: then [`begin_in_turn`] does it.
pub(super) async fn begin(tx: &mut PgConnection, begin: &Begin) -> Unit<Option<Begun>> {
    let owner = owner(begin);
    let session = match free_session(tx, &owner, begin).await? {
        Ok(session) => session,
        Err(earlier) => return Ok(Some(earlier)),
    };
    let mut under_way = under_way(tx, &owner).await?;
    begin.most.admit(under_way).or_else(refuse)?;
    under_way.of_subject += NEAR;
    under_way.of_tenant += NEAR;
    if begin.most.admit(under_way).is_err() {
        return Ok(None);
    }
    add(tx, session, begin).await.map(Some)
}

/// Begins the turn when nobody else of the tenant is about to.
pub(super) async fn begin_in_turn(tx: &mut PgConnection, begin: &Begin) -> Unit<Begun> {
    let owner = owner(begin);
    // before the session, for which others wait with a connection in hand
    take_turn(tx, &owner).await?;
    let session = match free_session(tx, &owner, begin).await? {
        Ok(session) => session,
        Err(earlier) => return Ok(earlier),
    };
    let under_way = under_way(tx, &owner).await?;
    begin.most.admit(under_way).or_else(refuse)?;
    add(tx, session, begin).await
}

fn owner(begin: &Begin) -> Owner {
    Owner {
        tenant: begin.run.tenant.clone(),
        subject: begin.run.subject.clone(),
    }
}

/// The session, in which the turn can begin; or what its message led to before.
async fn free_session(tx: &mut PgConnection, owner: &Owner, begin: &Begin) -> Unit<Result<i64, Begun>> {
    let session = sessions::held(tx, owner, begin.run.session).await?;
    if session.agent != begin.run.agent.as_str() {
        return refuse(Error::Invalid(format!(
            "the session's agent is {}",
            session.agent
        )));
    }
    if let Some(earlier) = begun_before(tx, session.id, begin).await? {
        return Ok(Err(earlier));
    }
    if session.active_run.is_some() {
        return refuse(Error::SessionBusy);
    }
    Ok(Ok(session.id))
}

async fn add(tx: &mut PgConnection, session: i64, begin: &Begin) -> Unit<Begun> {
    add_claimed(tx, session, &begin.history).await?;
    match insert(tx, begin, (i64::MAX, i64::MAX)).await? {
        Some(last_run) => Ok(begun(begin, last_run)),
        // the session is ours and free, and has not had the message: what is taken is the run's id
        None => refuse(Error::Invalid("this run began with another message".to_owned())),
    }
}

fn begun(begin: &Begin, last_run: Option<String>) -> Begun {
    Begun {
        run: begin.run.run,
        lease: Some(Lease {
            epoch: 1,
            expires: begin.expires,
        }),
        cursor: u64::try_from(begin.entries.len()).unwrap_or(u64::MAX),
        last_run,
    }
}

/// Waits until nobody else begins a turn of the tenant in a transaction; the turn is over when the transaction ends.
async fn take_turn(tx: &mut PgConnection, owner: &Owner) -> Unit<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("{SCHEMA} {}", owner.tenant))
        .execute(tx)
        .await?;
    Ok(())
}

/// A session that has a run has one. In a statement of its own, so that it sees what was begun before the turn came.
async fn under_way(tx: &mut PgConnection, owner: &Owner) -> Unit<UnderWay> {
    let (of_tenant, of_subject) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE subject = $2) FROM sessions \
         WHERE tenant = $1 AND active_run IS NOT NULL",
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

/// What last ended in the session, if the turn was begun: fewer runs of the subject and the tenant than `most` are under way.
async fn insert(
    connection: &mut PgConnection,
    begin: &Begin,
    (per_subject, per_tenant): (i64, i64),
) -> Unit<Option<Option<String>>> {
    let (events, states) = columns(&begin.entries);
    let inserted = sqlx::query_scalar(statements::BEGIN)
        .bind(begin.run.tenant.as_str())
        .bind(begin.run.session.to_string())
        .bind(begin.run.subject.as_str())
        .bind(begin.run.agent.as_str())
        .bind(begin.run.run.to_string())
        .bind(&begin.client_message_id)
        .bind(begin.client_instructions.as_bytes())
        .bind(&begin.token)
        .bind(begin.expires.as_millis())
        .bind(begin.now.as_millis())
        .bind(signed(begin.message.tokens))
        .bind(signed(begin.message.bytes))
        .bind(&begin.message.messages)
        .bind(events)
        .bind(states)
        .bind(per_subject)
        .bind(per_tenant)
        .fetch_optional(connection)
        .await?;
    Ok(inserted)
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
async fn begun_before(tx: &mut PgConnection, session: i64, begin: &Begin) -> Unit<Option<Begun>> {
    // locked, because whoever drives it does not hold the session
    let earlier: Option<Earlier> = sqlx::query_as(
        "SELECT id, run_id, state, cursor, first_cursor FROM runs WHERE session = $1 AND client_message_id = $2 \
         FOR UPDATE",
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
        let epoch: i64 = sqlx::query_scalar(
            "UPDATE runs SET epoch = epoch + 1, lease_expires_ms = $2 WHERE id = $1 RETURNING epoch",
        )
        .bind(earlier.id)
        .bind(begin.expires.as_millis())
        .fetch_one(tx)
        .await?;
        Some(Lease {
            epoch: unsigned(epoch),
            expires: begin.expires,
        })
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

/// Keeps turns that a client brought along, if the session has had no other.
async fn add_claimed(tx: &mut PgConnection, session: i64, turns: &[ClaimedTurn]) -> Unit<()> {
    if turns.is_empty() {
        return Ok(());
    }
    let had: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM runs WHERE session = $1)")
        .bind(session)
        .fetch_one(&mut *tx)
        .await?;
    if had {
        return refuse(Error::NotFresh);
    }
    let tokens: Vec<i64> = turns.iter().map(|turn| signed(turn.tokens)).collect();
    let bytes: Vec<i64> = turns.iter().map(|turn| signed(turn.bytes)).collect();
    let bodies: Vec<Vec<u8>> = turns.iter().map(|turn| turn.body.clone()).collect();
    sqlx::query(
        "INSERT INTO claimed_turns (session, ordinal, tokens, bytes, body) \
         SELECT $1, turn.number - 1, turn.tokens, turn.bytes, turn.body \
         FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) WITH ORDINALITY AS turn (tokens, bytes, body, number)",
    )
    .bind(session)
    .bind(tokens)
    .bind(bytes)
    .bind(bodies)
    .execute(tx)
    .await?;
    Ok(())
}

/// Turns of one session, read on one connection.
pub(super) struct Reader<'c> {
    pub(super) connection: &'c mut PgConnection,
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
            "SELECT ordinal, bytes FROM claimed_turns WHERE session = $1 ORDER BY ordinal DESC",
        )
        .bind(self.session)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(sizes)
    }

    async fn total(&mut self, which: Turns) -> Result<u64, harombe_sql::Error> {
        let total: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM runs WHERE session = $1 AND ($2 OR (state IN (2, 4) \
             AND EXISTS (SELECT FROM messages m WHERE m.run = runs.id AND m.ordinal > 0)))) \
             + (SELECT count(*) FROM claimed_turns WHERE session = $1)",
        )
        .bind(self.session)
        .bind(which == Turns::All)
        .fetch_one(&mut *self.connection)
        .await?;
        Ok(unsigned(total))
    }

    async fn claimed(&mut self, oldest: i64) -> Result<Vec<Vec<u8>>, harombe_sql::Error> {
        let bodies = sqlx::query_scalar(
            "SELECT body FROM claimed_turns WHERE session = $1 AND ordinal >= $2 ORDER BY ordinal",
        )
        .bind(self.session)
        .bind(oldest)
        .fetch_all(&mut *self.connection)
        .await?;
        Ok(bodies)
    }
}
