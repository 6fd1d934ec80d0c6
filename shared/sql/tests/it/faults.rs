//! A full disk fails the whole group, shows nothing of it, and is over when there is room again.

use harombe_sql::{Connection, Error, Limits, UnitError, UnitFuture, Units};

use crate::{Refusal, add, add_bytes, insert, names, open, unit};

/// Lets the file grow to so many pages; SQLite then behaves as on a full disk.
fn limit_pages(
    pages: u32,
) -> impl for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, (), Refusal> + Send + 'static {
    move |tx: &mut Connection| {
        Box::pin(async move {
            let statement = format!("PRAGMA max_page_count = {pages}");
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(tx).await?;
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_group_and_the_writer_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    units.run(&'a', add("before")).await.unwrap();
    units.run(&'a', limit_pages(16)).await.unwrap();
    let full = units.run(&'a', add_bytes("large", 200_000)).await;
    let Err(UnitError::Store(error)) = full else {
        panic!("{full:?}")
    };
    assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert!(error.is_unavailable());
    // the writer came back on a new connection, which has no such limit
    units.run(&'a', add_bytes("after", 200_000)).await.unwrap();
    assert_eq!(names(&database).await, ["before", "after"]);
    database.check().await.unwrap();
}

#[tokio::test]
async fn a_unit_that_hides_a_full_disk_cannot_save_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let (database, writer) = open(&directory.path().join("notes.db")).await;
    let units = Units::start(writer, Limits::default());
    units.run(&'a', limit_pages(16)).await.unwrap();
    let hiding = unit(|tx| {
        Box::pin(async move {
            insert(tx, "small".into(), 8).await?;
            let _ = insert(tx, "large".into(), 200_000).await;
            Ok(())
        })
    });
    let hidden = units.run(&'a', hiding).await;
    // SQLite either undid only the statement (then the rest is sound) or the transaction (then all is refused)
    let expected: &[&str] = if hidden.is_ok() {
        &["small", "after"]
    } else {
        &["after"]
    };
    units.run(&'a', add("after")).await.unwrap();
    assert_eq!(names(&database).await, expected);
    database.check().await.unwrap();
}

#[tokio::test]
async fn a_file_that_loses_its_ground_fails_typed_and_recovers_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (_database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    units.run(&'a', limit_pages(1)).await.unwrap();
    let away = directory.path().join("away");
    // a disk-full failure costs the connection; opening the next one meets a missing file
    std::fs::create_dir(&away).unwrap();
    for file in ["notes.db", "notes.db-wal", "notes.db-shm"] {
        std::fs::rename(directory.path().join(file), away.join(file)).unwrap();
    }
    let _ = units.run(&'a', add_bytes("lost", 200_000)).await.unwrap_err();
    let gone = units.run(&'a', add("gone")).await;
    let Err(UnitError::Store(error)) = gone else {
        panic!("{gone:?}")
    };
    assert!(matches!(error, Error::NotWritable { .. }), "{error:?}");
    for file in ["notes.db", "notes.db-wal", "notes.db-shm"] {
        let _ = std::fs::rename(away.join(file), directory.path().join(file));
    }
    units.run(&'a', add("back")).await.unwrap();
}
