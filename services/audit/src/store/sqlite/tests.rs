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

/// Neither a tenant's thousand appends nor a service's heavy batches in the name of many tenants are before another's
/// single entry with more than one commit.
#[tokio::test]
async fn a_single_entry_waits_for_one_commit_of_those_who_write_much() {
    const GROUP: u64 = 64;
    let directory = TempDir::new().unwrap();
    let place = Place::new(directory.path().to_owned(), harombe_sql::StoreConfig::default());
    let limits = harombe_sql::Limits {
        group: 64,
        ..harombe_sql::Limits::default()
    };
    let log = Log::open(place, limits, LIMITS, &numbers()).await.unwrap();
    let mut hitl = Writer::new(ServiceName::Hitl);
    let mut runtime = Writer::new(ServiceName::Runtime);
    let many: Vec<_> = (0..40).map(|number| format!("many-{number}")).collect();
    // The first entry of each makes its key.
    for tenant in many.iter().map(String::as_str).chain(["noisy", "quiet"]) {
        log.append(hitl.service, hitl.events(tenant, 1)).await.unwrap();
    }

    let singles: Vec<_> = (0..1000)
        .map(|_| (hitl.service, hitl.events("noisy", 1)))
        .collect();
    let batches: Vec<_> = many
        .iter()
        .map(|tenant| (runtime.service, runtime.events(tenant, 50)))
        .collect();
    for noisy in [singles, batches] {
        let before = log.head().await.unwrap().size();
        let noisy = noisy
            .into_iter()
            .map(|(service, events)| log.append(service, events));
        let quiet = log.append(hitl.service, hitl.events("quiet", 1));
        let (noisy, quiet) = tokio::join!(futures_util::future::join_all(noisy), quiet);
        let place = quiet.unwrap().indexes[0];
        assert!(place - before <= GROUP, "{} were before it", place - before);
        assert!(noisy.into_iter().all(|appended| appended.is_ok()));
    }
    log.close().await;
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
