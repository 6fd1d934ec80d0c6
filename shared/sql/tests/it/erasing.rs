//! What a row was, before it was changed or deleted, is not left where it was, nor in the write-ahead log.

use std::path::PathBuf;
use std::time::Duration;

use harombe_sql::{Connection, Error, Limits, UnitFuture, Units, WriteAheadLog};
use harombe_testkit::holding;
use sqlx::Connection as _;

use crate::{Refusal, open, unit};

const SECRET: &str = "a sentence that nobody may find again";

fn each(
    statement: &'static str,
    rows: std::ops::Range<i64>,
) -> impl for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, (), Refusal> + Send + 'static {
    unit(move |tx| {
        Box::pin(async move {
            for row in rows {
                let body = SECRET.repeat(usize::try_from(row % 31).unwrap_or_default() + 1);
                sqlx::query(statement)
                    .bind(row)
                    .bind(body.into_bytes())
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(())
        })
    })
}

#[tokio::test]
async fn a_row_that_has_grown_and_gone_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    let run = async |statement, rows| units.run(&'t', each(statement, rows)).await.unwrap();
    // rows between them stay, so that their pages do
    run(
        "INSERT INTO notes (id, name, body) VALUES (?1, 'note ' || ?1, CASE ?1 % 3 WHEN 0 THEN x'00' ELSE ?2 END)",
        0..120,
    )
    .await;
    // it is longer than before: it does not stay where it was
    run(
        "UPDATE notes SET name = name || ' that is longer now', body = coalesce(body, ?2) WHERE id = ?1",
        0..120,
    )
    .await;
    run(
        "DELETE FROM notes WHERE id = ?1 AND id % 3 <> 0 AND ?2 IS NOT NULL",
        0..120,
    )
    .await;
    let emptied = unit(|tx| {
        Box::pin(async move {
            sqlx::query("UPDATE notes SET body = x'00'").execute(tx).await?;
            Ok(())
        })
    });
    units.run(&'t', emptied).await.unwrap();
    // the log goes with the last connection
    units.shutdown().await;
    database.close().await;
    assert_eq!(holding(directory.path(), SECRET), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_log_that_somebody_reads_is_emptied_after_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    let log = WriteAheadLog::of(&path);
    log.empty_what_was_left().await;
    let insert = each(
        "INSERT INTO notes (id, name, body) VALUES (?1, 'note ' || ?1, ?2)",
        0..4,
    );
    units.run(&'t', insert).await.unwrap();
    let mut reader = sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM notes")
        .execute(&mut reader)
        .await
        .unwrap();
    let marked = log.clone();
    let erase = unit(move |tx| {
        marked.mark_full();
        Box::pin(async move {
            sqlx::query("DELETE FROM notes").execute(tx).await?;
            Ok(())
        })
    });
    units.run(&'t', erase).await.unwrap();
    let refused = log.empty_within(Duration::from_millis(50)).await;
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    assert!(!holding(directory.path(), SECRET).is_empty());
    reader.close().await.unwrap();
    log.empty_what_was_left().await;
    assert_eq!(holding(directory.path(), SECRET), Vec::<PathBuf>::new());
    // nothing was erased since: what is written now stays in it
    let insert = each(
        "INSERT INTO notes (id, name, body) VALUES (?1, 'note ' || ?1, ?2)",
        0..1,
    );
    units.run(&'t', insert).await.unwrap();
    log.empty_what_was_left().await;
    let log = std::fs::metadata(directory.path().join("notes.db-wal")).unwrap();
    assert!(log.len() > 0);
    units.shutdown().await;
    database.close().await;
}
