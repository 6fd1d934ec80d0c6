//! Statements on journal entries.

use harombe_proto::memory::v1::JournalEntry;
use harombe_sql::Connection;
use harombe_types::{RunId, RunPrincipal, Timestamp};
use prost::Message as _;
use sqlx::SqliteExecutor;

use super::rows::{EntryRow, RunRow, signed, unsigned};
use super::{Unit, refuse, runs};
use crate::domain::{Owner, Progress, wire_time};
use crate::error::Error;

pub(super) async fn append(
    tx: &mut Connection,
    run: RunPrincipal,
    epoch: u64,
    expected: u64,
    entries: Vec<JournalEntry>,
    now: Timestamp,
) -> Unit<Progress> {
    let row = runs::of(tx, &run).await?;
    row.driven_by(epoch).or_else(refuse)?;
    let cancel_requested = row.cancel_reason.is_some();
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
    let cursor = write(tx, &row, run.run, entries, now).await?;
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

/// Adds the entries behind the run's cursor and returns the new one; the run's row is the caller's to update.
pub(super) async fn write(
    tx: &mut Connection,
    row: &RunRow,
    run: RunId,
    entries: Vec<JournalEntry>,
    now: Timestamp,
) -> Unit<i64> {
    let mut cursor = row.cursor;
    for entry in entries {
        cursor += 1;
        let event = entry.event.map(|mut event| {
            event.run_id = run.to_string();
            event.cursor = unsigned(cursor);
            event.time.get_or_insert_with(|| wire_time(now));
            event.encode_to_vec()
        });
        sqlx::query("INSERT INTO journal (run, cursor, event, state) VALUES (?, ?, ?, ?)")
            .bind(row.id)
            .bind(cursor)
            .bind(event)
            .bind(entry.state.as_ref())
            .execute(&mut *tx)
            .await?;
    }
    Ok(cursor)
}

/// Whether these very entries are what follows `expected`, up to the end of the journal.
async fn written_before(
    tx: &mut Connection,
    row: &RunRow,
    expected: u64,
    entries: &[JournalEntry],
) -> Unit<bool> {
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    if expected.checked_add(count) != Some(unsigned(row.cursor)) {
        return Ok(false);
    }
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT cursor, event, state FROM journal WHERE run = ? AND cursor > ? ORDER BY cursor",
    )
    .bind(row.id)
    .bind(signed(expected))
    .fetch_all(tx)
    .await?;
    let mut same = rows.len() == entries.len();
    for (row, given) in rows.into_iter().zip(entries) {
        let stored: JournalEntry = row.try_into().or_else(refuse)?;
        same &= is_repetition(stored, given);
    }
    Ok(same)
}

/// Equal but for what the journal itself puts into an entry.
fn is_repetition(mut stored: JournalEntry, given: &JournalEntry) -> bool {
    stored.cursor = given.cursor;
    if let (Some(stored), Some(given)) = (&mut stored.event, &given.event) {
        stored.run_id.clone_from(&given.run_id);
        stored.cursor = given.cursor;
        if given.time.is_none() {
            stored.time = None;
        }
    }
    stored == *given
}

pub(super) async fn page(
    executor: impl SqliteExecutor<'_>,
    owner: &Owner,
    run: RunId,
    after: u64,
    limit: u32,
) -> Result<Vec<EntryRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT j.cursor, j.event, j.state \
         FROM runs r JOIN sessions s ON s.id = r.session JOIN journal j ON j.run = r.id \
         WHERE r.tenant = ? AND r.run_id = ? AND s.subject = ? AND j.cursor > ? ORDER BY j.cursor LIMIT ?",
    )
    .bind(owner.tenant.as_str())
    .bind(run.to_string())
    .bind(owner.subject.as_str())
    .bind(signed(after))
    .bind(limit)
    .fetch_all(executor)
    .await
}
