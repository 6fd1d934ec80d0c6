//! Statements on journal entries.

use harombe_sql::Connection;
use harombe_types::{RunId, RunPrincipal, Timestamp};
use sqlx::SqliteExecutor;

use super::{Unit, refuse, runs};
use crate::domain::{NewEntry, Owner, Progress, Room};
use crate::error::Error;
use crate::store::rows::{EntryRow, RunRow, signed, unsigned};

pub(super) async fn append(
    tx: &mut Connection,
    run: RunPrincipal,
    epoch: u64,
    expected: u64,
    entries: Vec<NewEntry>,
    now: Timestamp,
) -> Unit<Progress> {
    let row = runs::of(tx, &run).await?;
    row.driven_by(epoch).or_else(refuse)?;
    let cancel_requested = row.cancel_requested;
    let actual = unsigned(row.cursor);
    if actual != expected {
        return if written_before(tx, &row, expected, &entries).await? {
            Ok(Progress {
                cursor: actual,
                cancel_requested,
            })
        } else {
            refuse(Error::Cursor { expected, actual })
        };
    }
    let cursor = write(tx, &row, entries, now).await?;
    sqlx::query("UPDATE runs SET cursor = ? WHERE id = ?")
        .bind(cursor)
        .bind(row.id)
        .execute(&mut *tx)
        .await?;
    Ok(Progress {
        cursor: unsigned(cursor),
        cancel_requested,
    })
}

/// Entries that are added with one statement: each is a way to another thread and back.
const TOGETHER: usize = 4;

/// The statement that adds so many.
const fn add(entries: usize) -> &'static str {
    match entries {
        1 => "INSERT INTO journal (run, cursor, written_ms, event, state) VALUES (?, ?, ?, ?, ?)",
        2 => {
            "INSERT INTO journal (run, cursor, written_ms, event, state) \
             VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)"
        }
        3 => {
            "INSERT INTO journal (run, cursor, written_ms, event, state) \
             VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)"
        }
        _ => {
            "INSERT INTO journal (run, cursor, written_ms, event, state) \
             VALUES (?, ?, ?, ?, ?), (?, ?, ?, ?, ?), (?, ?, ?, ?, ?), (?, ?, ?, ?, ?)"
        }
    }
}

/// Adds the entries behind the run's cursor and returns the new one; the run's row is the caller's to update.
pub(super) async fn write(
    tx: &mut Connection,
    row: &RunRow,
    entries: Vec<NewEntry>,
    now: Timestamp,
) -> Unit<i64> {
    let mut cursor = row.cursor;
    for some in entries.chunks(TOGETHER) {
        let mut query = sqlx::query(add(some.len()));
        for entry in some {
            cursor += 1;
            query = query
                .bind(row.id)
                .bind(cursor)
                .bind(now.as_millis())
                .bind(entry.event.as_deref())
                .bind(entry.state.as_ref());
        }
        query.execute(&mut *tx).await?;
    }
    Ok(cursor)
}

/// Whether these very entries are what follows `expected`, up to the end of the journal.
async fn written_before(
    tx: &mut Connection,
    row: &RunRow,
    expected: u64,
    entries: &[NewEntry],
) -> Unit<bool> {
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    if expected.checked_add(count) != Some(unsigned(row.cursor)) {
        return Ok(false);
    }
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT cursor, written_ms, event, state FROM journal WHERE run = ? AND cursor > ? ORDER BY cursor",
    )
    .bind(row.id)
    .bind(signed(expected))
    .fetch_all(tx)
    .await?;
    let same = |(row, given): (&EntryRow, &NewEntry)| row.event == given.event && row.state == given.state;
    Ok(rows.len() == entries.len() && rows.iter().zip(entries).all(same))
}

/// Sizes first, which SQLite knows without reading the entries.
pub(super) async fn page(
    executor: impl SqliteExecutor<'_>,
    owner: &Owner,
    run: RunId,
    after: u64,
    room: Room,
) -> Result<Vec<EntryRow>, sqlx::Error> {
    sqlx::query_as(
        "WITH listed AS ( \
            SELECT j.run, j.cursor, coalesce(length(j.event), 0) + length(j.state) AS size \
            FROM runs r JOIN sessions s ON s.id = r.session JOIN journal j ON j.run = r.id \
            WHERE r.tenant = ?1 AND r.run_id = ?2 AND s.subject = ?3 AND j.cursor > ?4 \
            ORDER BY j.cursor LIMIT ?5), \
         placed AS (SELECT run, cursor, SUM(size) OVER (ORDER BY cursor) - size AS begins FROM listed) \
         SELECT j.cursor, j.written_ms, j.event, j.state \
         FROM placed p JOIN journal j ON j.run = p.run AND j.cursor = p.cursor \
         WHERE p.begins < ?6 ORDER BY j.cursor",
    )
    .bind(owner.tenant.as_str())
    .bind(run.to_string())
    .bind(owner.subject.as_str())
    .bind(signed(after))
    .bind(room.entries)
    .bind(room.bytes)
    .fetch_all(executor)
    .await
}
