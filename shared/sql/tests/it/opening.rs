//! Every way in which a file can be unfit is told apart, names the file and says what to do.

use std::os::unix::fs::PermissionsExt;

use harombe_sql::{Database, Error, Limits, Migrator, Units};

use crate::{MIGRATIONS, add, names, open};

#[tokio::test]
async fn settings_are_the_safe_ones_and_the_files_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    let pragmas = units
        .run(&(), |tx| {
            Box::pin(async move {
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
                    .fetch_one(&mut *tx)
                    .await?;
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
                    .fetch_one(&mut *tx)
                    .await?;
                let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys")
                    .fetch_one(&mut *tx)
                    .await?;
                Ok::<_, harombe_sql::UnitError<()>>((journal, synchronous, keys))
            })
        })
        .await
        .unwrap();
    assert_eq!(pragmas, ("wal".to_owned(), 2, 1));
    units.run(&(), add("one")).await.unwrap();
    for file in ["notes.db", "notes.db-wal", "notes.db-shm"] {
        let mode = path.with_file_name(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is open to others");
    }
    let written = sqlx::query("DELETE FROM notes").execute(database.readers()).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}

#[tokio::test]
async fn what_was_written_is_there_after_closing_and_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    units.run(&(), add("kept")).await.unwrap();
    units.shutdown().await;
    database.close().await;
    let (database, _writer) = open(&path).await;
    assert_eq!(names(&database).await, ["kept"]);
    database.check().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    for error in [
        Database::open(&path, &MIGRATIONS).await.unwrap_err(),
        Database::open_read_only(&path).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains(path.to_str().unwrap()) && text.contains("restore"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn damaged_pages_are_found_at_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    for number in 0..200 {
        units
            .run(&(), crate::add_bytes(format!("note {number}"), 500))
            .await
            .unwrap();
    }
    units.shutdown().await;
    database.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(
        bytes.len() > 10 * 4096,
        "the write-ahead log was not folded into the file"
    );
    for page in bytes.chunks_mut(4096).skip(4) {
        page[..64].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    let error = Database::open(&path, &MIGRATIONS).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_path_that_cannot_be_made_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below_a_file = file.join("notes.db");
    let a_directory = directory.path().to_path_buf();
    for path in [below_a_file, a_directory] {
        let error = Database::open(&path, &MIGRATIONS).await.unwrap_err();
        assert!(matches!(error, Error::NotWritable { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    let error = Database::open_read_only(&directory.path().join("absent.db"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    drop(open(&path).await);
    let older = Migrator::with_migrations(Vec::new());
    let error = Database::open(&path, &older).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::SchemaNewer {
                found: 1,
                known: 0,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_migration_that_changed_after_it_ran_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    drop(open(&path).await);
    let mut changed: Vec<_> = MIGRATIONS.iter().cloned().collect();
    changed[0].checksum = vec![0; 48].into();
    let error = Database::open(&path, &Migrator::with_migrations(changed))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Migration { .. }), "{error:?}");
}
