//! What holds only for files: several processes on them, and files put in the place of others.

use std::path::Path;

use harombe_types::ServiceName;
use sqlx::Connection as _;
use tempfile::TempDir;

use super::LOG_FILE;
use crate::Error;
use crate::domain::Filter;
use crate::fixture::{LIMITS, Writer, numbers, open, written};
use crate::log::Log;
use crate::store::Place;

async fn try_open(directory: &Path) -> Result<Log, Error> {
    let place = Place::new(directory.to_owned(), harombe_sql::StoreConfig::default());
    Log::open(place, harombe_sql::Limits::default(), LIMITS, &numbers()).await
}

fn of(tenant: &str) -> Filter {
    Filter {
        tenant: Some(tenant.to_owned()),
        ..Filter::default()
    }
}

#[tokio::test]
async fn two_processes_on_one_log_write_one_history() {
    let directory = TempDir::new().unwrap();
    let (one, two) = (open(directory.path()).await, open(directory.path()).await);
    let mut writer = Writer::new(ServiceName::Hitl);
    for round in 0..4 {
        for (at, log) in [&one, &two].into_iter().enumerate() {
            let places = log
                .append(writer.service, writer.events("alpha", 100))
                .await
                .unwrap()
                .indexes;
            assert_eq!(places[0], (round * 2 + at as u64) * 100);
        }
    }
    one.close().await;
    two.close().await;
    assert_eq!(
        crate::verify::verify(directory.path(), None)
            .await
            .unwrap()
            .entries,
        800
    );
}

#[tokio::test]
async fn a_log_that_contradicts_its_checkpoint_is_not_opened() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[3, 2]).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join(LOG_FILE));
    let mut saboteur = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("DELETE FROM entries WHERE idx = 4")
        .execute(&mut saboteur)
        .await
        .unwrap();
    saboteur.close().await.unwrap();
    let opened = try_open(directory.path()).await;
    assert!(matches!(opened.err(), Some(Error::Damaged(_))));
}

#[tokio::test]
async fn a_log_never_gets_a_second_key() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[1]).await;
    let keys = directory.path().join("keys");
    std::fs::remove_file(keys.join("signer.key")).unwrap();
    let opened = try_open(directory.path()).await;
    assert!(matches!(opened.err(), Some(Error::KeyMissing { .. })));
}
#[tokio::test]
async fn an_index_of_another_log_is_built_anew() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    written(one.path(), &[5]).await;
    written(two.path(), &[9]).await;
    let log = open(two.path()).await;
    while log.index_more().await.unwrap() {}
    log.close().await;
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("index.db{suffix}");
        let _ = std::fs::remove_file(one.path().join(&name));
        let _ = std::fs::copy(two.path().join(&name), one.path().join(&name));
    }
    let log = open(one.path()).await;
    assert_eq!(
        log.find(&of("alpha"), 0, 0).await.unwrap().indexes,
        [0, 1, 2, 3, 4]
    );
    log.close().await;
    std::fs::write(
        one.path().join("index.db"),
        b"not a database at all, but long enough to look",
    )
    .unwrap();
    let log = open(one.path()).await;
    assert_eq!(
        log.find(&of("alpha"), 0, 0).await.unwrap().indexes,
        [0, 1, 2, 3, 4]
    );
    log.close().await;
}
