//! Statements on a person who is to be erased: what there is of them, and what takes it away.

use harombe_types::{AgentName, RunId, RunPrincipal, SessionId};

use super::{Connection, Outbox, Unit, no_new_generation, owners, refuse, steps};
use crate::domain::{Belongings, Owner, Part};
use crate::error::Error;
use crate::store::memories::rows::OwnerRow;
use crate::store::rows::unsigned;

/// A session that a run holds.
#[derive(sqlx::FromRow)]
struct Busy {
    session_id: String,
    agent: String,
    run_id: String,
}

impl Busy {
    fn run(&self, owner: &Owner) -> Result<RunPrincipal, Error> {
        let agent: AgentName = self.agent.parse().map_err(|_| Error::Stored("agent"))?;
        let run: RunId = self.run_id.parse().map_err(|_| Error::Stored("run id"))?;
        Ok(RunPrincipal {
            tenant: owner.tenant.clone(),
            subject: owner.subject.clone(),
            agent,
            session: session_id(&self.session_id)?,
            run,
        })
    }
}

fn session_id(text: &str) -> Result<SessionId, Error> {
    text.parse().map_err(|_| Error::Stored("session id"))
}

pub(in crate::store) async fn belongings(
    connection: &mut Connection,
    owner: &Owner,
    sessions: u32,
    runs: u32,
) -> Unit<Belongings> {
    // one statement: whoever begins or ends a turn meanwhile must not take a session past both
    let rows: Vec<(Option<String>, i64)> = sqlx::query_as(
        "WITH held AS (SELECT count(*) AS sessions FROM sessions \
                       WHERE tenant = $1 AND subject = $2 AND active_run IS NOT NULL), \
         free AS (SELECT session_id FROM sessions WHERE tenant = $1 AND subject = $2 AND active_run IS NULL \
                  ORDER BY updated_ms DESC, id DESC LIMIT $3) \
         SELECT free.session_id, held.sessions FROM held LEFT JOIN free ON TRUE",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(i64::from(sessions))
    .fetch_all(&mut *connection)
    .await?;
    let busy: Vec<Busy> = sqlx::query_as(
        "SELECT s.session_id, s.agent, r.run_id FROM sessions s JOIN runs r ON r.id = s.active_run \
         WHERE s.tenant = $1 AND s.subject = $2 AND s.active_run IS NOT NULL AND r.cancel_reason IS NULL \
         ORDER BY s.id LIMIT $3",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.subject.as_str())
    .bind(i64::from(runs))
    .fetch_all(&mut *connection)
    .await?;
    let in_use = rows.first().map_or(0, |(_, held)| unsigned(*held));
    let free = rows.iter().filter_map(|(id, _)| id.as_deref());
    let free: Result<_, _> = free.map(session_id).collect();
    let uncancelled: Result<_, _> = busy.iter().map(|busy| busy.run(owner)).collect();
    Ok(Belongings {
        free: free.or_else(refuse)?,
        in_use,
        uncancelled: uncancelled.or_else(refuse)?,
        memories: memories(connection, owner).await?,
    })
}

/// How many memories are kept; `None` when there is nothing that [`erase_person`] would take away.
async fn memories(connection: &mut Connection, owner: &Owner) -> Unit<Option<u64>> {
    if let Some(row) = owners::find(connection, owner).await? {
        return Ok(Some(unsigned(row.memories)));
    }
    let refused = steps::are_set_aside(connection, owner).await?;
    Ok(refused.then_some(0))
}

/// Erases so many of the memories, the oldest first; with the last ones all else that is known of their owner.
pub(in crate::store) async fn erase_person(
    tx: &mut Connection,
    whose: &Owner,
    limit: u32,
    kept: Outbox,
) -> Unit<Part> {
    let mut part = Part::default();
    if let Some(mut owner) = owners::hold_known(tx, whose).await? {
        part = erase_oldest(tx, whose, &mut owner, limit, kept).await?;
        if part.more {
            return Ok(part);
        }
        for forget in [
            "DELETE FROM summary_work WHERE owner = $1",
            "DELETE FROM owners WHERE id = $1",
        ] {
            sqlx::query(forget).bind(owner.id).execute(&mut *tx).await?;
        }
    }
    steps::forget_set_aside(tx, whose).await?;
    // where there are no vectors, nobody would ever take out what they are to be told
    no_new_generation(tx).await?;
    sqlx::query(
        "DELETE FROM outbox WHERE tenant = $1 AND subject = $2 AND NOT EXISTS (SELECT 1 FROM generations)",
    )
    .bind(whose.tenant.as_str())
    .bind(whose.subject.as_str())
    .execute(tx)
    .await?;
    Ok(part)
}

async fn erase_oldest(
    tx: &mut Connection,
    whose: &Owner,
    owner: &mut OwnerRow,
    limit: u32,
    kept: Outbox,
) -> Unit<Part> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(seq) FROM (SELECT seq FROM memories WHERE owner = $1 ORDER BY seq LIMIT $2) AS oldest",
    )
    .bind(owner.id)
    .bind(i64::from(limit))
    .fetch_one(&mut *tx)
    .await?;
    let Some(last) = last else {
        return Ok(Part::default());
    };
    if kept == Outbox::Kept {
        sqlx::query(
            "INSERT INTO outbox (tenant, subject, point, what) \
             SELECT $3, $4, point, 2 FROM memories WHERE owner = $1 AND seq <= $2 ORDER BY seq",
        )
        .bind(owner.id)
        .bind(last)
        .bind(whose.tenant.as_str())
        .bind(whose.subject.as_str())
        .execute(&mut *tx)
        .await?;
    }
    let erased = sqlx::query("DELETE FROM memories WHERE owner = $1 AND seq <= $2")
        .bind(owner.id)
        .bind(last)
        .execute(&mut *tx)
        .await?
        .rows_affected();
    owner.epoch += 1;
    let fewer = i64::try_from(erased).unwrap_or(i64::MAX);
    owners::count(tx, whose, owner, -fewer).await?;
    owners::keep(tx, owner).await?;
    let more = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM memories WHERE owner = $1)")
        .bind(owner.id)
        .fetch_one(tx)
        .await?;
    Ok(Part {
        memories: erased,
        more,
    })
}
