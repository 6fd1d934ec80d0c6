//! What holds only for files: several processes on them, and files put in the place of others.

use std::path::Path;
use std::sync::Arc;

use harombe_error::ServiceError as _;
use harombe_types::ServiceName;
use sqlx::Connection as _;
use tempfile::TempDir;

use super::LOG_FILE;
use crate::Error;
use crate::domain::Filter;
use crate::fixture::{LIMITS, Writer, numbers, open, written};
use crate::log::Log;
use crate::store::contract::{admin, erasing};
use crate::store::data_keys::{KeyStore as _, Owner};
use crate::store::{Place, Term};

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

/// The files under `directory` in which the bytes are.
fn holding(directory: &Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(bytes.len())
            .any(|window| window == bytes)
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn nothing_of_a_destroyed_key_is_left_in_any_file() {
    let directory = TempDir::new().unwrap();
    let log = Arc::new(open(directory.path()).await);
    let mut writer = Writer::new(ServiceName::Hitl);
    log.append(writer.service, writer.events("alpha", 1))
        .await
        .unwrap();
    let keys = directory.path().join("keys").join(super::DATA_KEYS_FILE);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&keys);
    let mut reader = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    let secret: Vec<u8> = sqlx::query_scalar("SELECT key FROM data_keys WHERE subject = 'ann'")
        .fetch_one(&mut *reading)
        .await
        .unwrap();
    assert_ne!(
        holding(directory.path(), &secret),
        Vec::<std::path::PathBuf>::new()
    );

    // Somebody who reads keeps the write-ahead log from being emptied: the key is gone, but not yet its bytes.
    let erasures = erasing(&log);
    let ann = "ann".parse().unwrap();
    let busy = erasures.erase(&admin(), &ann).await.unwrap_err();
    assert!(
        matches!(busy, Error::Store(harombe_sql::Error::Locked { .. })),
        "{busy:?}"
    );
    assert!(busy.retry_after().is_some());
    assert_eq!(log.entry(0).await.unwrap().details, "");
    drop(reading);
    reader.close().await.unwrap();
    // Whoever asks again has the rest done, and puts nothing on record twice.
    assert_eq!(erasures.erase(&admin(), &ann).await.unwrap(), 0);
    assert_eq!(
        holding(directory.path(), &secret),
        Vec::<std::path::PathBuf>::new()
    );
    log.append(writer.service, writer.events("alpha", 1))
        .await
        .unwrap();
    assert_eq!(log.head().await.unwrap().size(), 3);
    assert_eq!(log.entry(2).await.unwrap().details, r#"{"count":2}"#);
    log.close().await;
    assert_eq!(
        holding(directory.path(), &secret),
        Vec::<std::path::PathBuf>::new()
    );
}

/// Where rows come and go, SQLite moves others from page to page, and what it zeroes is only where they were last: without
/// a rewrite of the file, this sequence leaves copies of two destroyed keys.
#[tokio::test]
async fn no_copy_of_a_destroyed_key_is_left_where_rows_were_moved() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(super::DATA_KEYS_FILE);
    let keys = super::SqliteKeys::open(&path).await.unwrap();
    let mut state = 40_u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let (mut there, mut destroyed) = (Vec::new(), std::collections::HashSet::new());
    for step in 0..900 {
        let share = if step < 750 { 60 } else { 40 };
        if next(100) < share || there.is_empty() {
            let owner = Owner {
                tenant: "alpha".to_owned(),
                subject: format!("{step}{}", "x".repeat(next(100))),
            };
            let (_, secret) = keys.of(&owner).await.unwrap();
            there.push((owner, secret));
        } else {
            let (owner, secret) = there.swap_remove(next(there.len()));
            keys.destroy(&owner, Term::default()).await.unwrap();
            destroyed.insert(secret.to_vec());
        }
    }
    keys.overwrite().await.unwrap();
    assert!(destroyed.len() > 300 && !there.is_empty());
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.windows(32).all(|window| !destroyed.contains(window)));
    let (_, secret) = &there[0];
    assert_eq!(holding(directory.path(), &**secret), std::slice::from_ref(&path));
    assert_eq!(std::fs::metadata(path.with_extension("db-wal")).unwrap().len(), 0);
    keys.close().await;
}
