//! Finding runs, and the changes that a run's token may make.

use harombe_sql::pg::{PgArguments, PgConnection};
use harombe_types::{RunId, RunPrincipal, Tenant, Timestamp};
use sqlx::FromRow;
use sqlx::query::QueryAs;

use super::statements;
use super::{Unit, refuse};
use crate::domain::{Finish, NewEntry, Owner, Position, Progress, Room, RunState};
use crate::error::Error;
use crate::store::rows::{EntryRow, HeaderRow, RunRow, RunView, signed, state, state_number, unsigned};

/// The run as it was, and what was written.
#[derive(FromRow)]
pub(super) struct Changed {
    #[sqlx(flatten)]
    pub(super) run: RunRow,
    written: Option<i64>,
}

type Change<'q> = QueryAs<'q, sqlx::Postgres, Changed, PgArguments>;

/// `statement` on the run that the token names; further values are the caller's to bind.
pub(super) fn change(statement: &'static str, run: &RunPrincipal) -> Change<'static> {
    sqlx::query_as(statement)
        .bind(run.tenant.to_string())
        .bind(run.run.to_string())
        .bind(run.session.to_string())
        .bind(run.subject.to_string())
}

/// The run as it was, with what was written if anything was.
pub(super) async fn changed(
    connection: &mut PgConnection,
    change: Change<'_>,
) -> Unit<(RunRow, Option<u64>)> {
    match change.fetch_optional(connection).await? {
        Some(changed) => Ok((changed.run, changed.written.map(unsigned))),
        None => refuse(Error::NotFound("run")),
    }
}

/// As [`changed`], for a change that only the lease's holder may make.
pub(super) async fn changed_by(
    connection: &mut PgConnection,
    change: Change<'_>,
    epoch: u64,
) -> Unit<(RunRow, Option<u64>)> {
    let (run, written) = changed(connection, change).await?;
    if written.is_none() {
        run.driven_by(epoch).or_else(refuse)?;
    }
    Ok((run, written))
}

/// Entries as two arrays: what clients see, and what a runtime reads.
pub(super) fn columns(entries: &[NewEntry]) -> (Vec<Option<Vec<u8>>>, Vec<Vec<u8>>) {
    entries
        .iter()
        .map(|entry| (entry.event.clone(), entry.state.to_vec()))
        .unzip()
}

pub(super) async fn append(
    connection: &mut PgConnection,
    run: &RunPrincipal,
    epoch: u64,
    expected: u64,
    entries: &[NewEntry],
    now: Timestamp,
) -> Unit<Progress> {
    let (events, states) = columns(entries);
    let append = change(statements::APPEND, run)
        .bind(signed(epoch))
        .bind(signed(expected))
        .bind(now.as_millis())
        .bind(events)
        .bind(states);
    let (row, written) = changed_by(connection, append, epoch).await?;
    let actual = unsigned(row.cursor);
    let cursor = match written {
        Some(cursor) => cursor,
        None if written_before(connection, &row, expected, entries).await? => actual,
        None => return refuse(Error::Cursor { expected, actual }),
    };
    Ok(Progress {
        cursor,
        cancel_requested: row.cancel_requested,
    })
}

/// Whether these very entries are what follows `expected`, up to the end of the journal.
async fn written_before(
    connection: &mut PgConnection,
    row: &RunRow,
    expected: u64,
    entries: &[NewEntry],
) -> Unit<bool> {
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    if expected.checked_add(count) != Some(unsigned(row.cursor)) {
        return Ok(false);
    }
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT cursor, written_ms, event, state FROM journal WHERE run = $1 AND cursor > $2 ORDER BY cursor",
    )
    .bind(row.id)
    .bind(signed(expected))
    .fetch_all(connection)
    .await?;
    let same = |(row, given): (&EntryRow, &NewEntry)| row.event == given.event && row.state == given.state;
    Ok(rows.len() == entries.len() && rows.iter().zip(entries).all(same))
}

pub(super) async fn finish(connection: &mut PgConnection, finish: &Finish) -> Unit<u64> {
    let (events, states) = columns(&finish.entries);
    let end = change(statements::FINISH, &finish.run)
        .bind(signed(finish.epoch))
        .bind(state_number(finish.state))
        .bind(finish.now.as_millis())
        .bind(events)
        .bind(states)
        .bind(finish.messages.messages.clone())
        .bind(signed(finish.messages.tokens))
        .bind(signed(finish.messages.bytes))
        .bind(i64::from(finish.state == RunState::Finished))
        .bind(finish.saw_outside);
    let (row, written) = changed(connection, end).await?;
    if let Some(cursor) = written {
        return Ok(cursor);
    }
    let ended = row.state().or_else(refuse)?;
    if ended == finish.state && unsigned(row.epoch) == finish.epoch {
        return Ok(unsigned(row.cursor));
    }
    row.driven_by(finish.epoch).or_else(refuse)?;
    refuse(Error::LeaseLost)
}

pub(super) async fn request_cancel(
    connection: &mut PgConnection,
    run: &RunPrincipal,
    reason: &str,
) -> Unit<RunState> {
    let request = change(statements::REQUEST_CANCEL, run).bind(reason.as_bytes().to_vec());
    let (row, _) = changed(connection, request).await?;
    row.state().or_else(refuse)
}

pub(super) async fn find(
    connection: &mut PgConnection,
    owner: &Owner,
    run: RunId,
) -> Result<Option<RunView>, sqlx::Error> {
    sqlx::query_as(
        "SELECT r.run_id, s.session_id, s.agent, r.state, r.started_ms, r.finished_ms, r.cursor \
         FROM runs r JOIN sessions s ON s.id = r.session \
         WHERE r.tenant = $1 AND r.run_id = $2 AND s.subject = $3",
    )
    .bind(owner.tenant.as_str())
    .bind(run.to_string())
    .bind(owner.subject.as_str())
    .fetch_optional(connection)
    .await
}

pub(super) async fn header(
    connection: &mut PgConnection,
    run: &RunPrincipal,
) -> Result<Option<HeaderRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT r.client_message_id, r.client_instructions, r.state, m.body \
         FROM runs r JOIN sessions s ON s.id = r.session JOIN messages m ON m.run = r.id AND m.ordinal = 0 \
         WHERE r.tenant = $1 AND r.run_id = $2 AND s.session_id = $3 AND s.subject = $4",
    )
    .bind(run.tenant.as_str())
    .bind(run.run.to_string())
    .bind(run.session.to_string())
    .bind(run.subject.as_str())
    .fetch_optional(connection)
    .await
}

/// Sizes first, which Postgres knows without reading long entries.
pub(super) async fn entries(
    connection: &mut PgConnection,
    owner: &Owner,
    run: RunId,
    after: u64,
    room: Room,
) -> Result<Vec<EntryRow>, sqlx::Error> {
    sqlx::query_as(
        "WITH listed AS ( \
            SELECT j.run, j.cursor, coalesce(octet_length(j.event), 0) + octet_length(j.state) AS size \
            FROM runs r JOIN sessions s ON s.id = r.session JOIN journal j ON j.run = r.id \
            WHERE r.tenant = $1 AND r.run_id = $2 AND s.subject = $3 AND j.cursor > $4 \
            ORDER BY j.cursor LIMIT $5), \
         placed AS (SELECT run, cursor, SUM(size) OVER (ORDER BY cursor) - size AS begins FROM listed) \
         SELECT j.cursor, j.written_ms, j.event, j.state \
         FROM placed p JOIN journal j ON j.run = p.run AND j.cursor = p.cursor \
         WHERE p.begins < $6 ORDER BY j.cursor",
    )
    .bind(owner.tenant.as_str())
    .bind(run.to_string())
    .bind(owner.subject.as_str())
    .bind(signed(after))
    .bind(i64::from(room.entries))
    .bind(i64::from(room.bytes))
    .fetch_all(connection)
    .await
}

/// Where the journals of these runs stand; one that is gone is left out.
pub(super) async fn positions(
    connection: &mut PgConnection,
    runs: &[(Tenant, RunId)],
) -> Unit<Vec<(RunId, Position)>> {
    let (tenants, ids): (Vec<String>, Vec<String>) = runs
        .iter()
        .map(|(tenant, run)| (tenant.to_string(), run.to_string()))
        .unzip();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT asked.number, r.cursor, r.state \
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (tenant, run_id, number) \
         JOIN runs r ON r.tenant = asked.tenant AND r.run_id = asked.run_id ORDER BY asked.number",
    )
    .bind(tenants)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut positions = Vec::with_capacity(rows.len());
    for (number, cursor, number_of_state) in rows {
        let asked = usize::try_from(number - 1).ok().and_then(|index| runs.get(index));
        let Some((_, run)) = asked else { continue };
        let position = Position {
            cursor: unsigned(cursor),
            state: state(number_of_state).or_else(refuse)?,
        };
        positions.push((*run, position));
    }
    Ok(positions)
}
