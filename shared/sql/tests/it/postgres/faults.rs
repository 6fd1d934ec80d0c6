//! A server that restarts, or is killed, while everybody writes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harombe_sql::{Error, Postgres, UnitError};
use harombe_testkit::postgres::{Server, advance};

use super::{names, open};
use crate::Refusal;

const WRITERS: usize = 8;
/// Acknowledged before, between and after the faults.
const ENOUGH: usize = 150;

async fn insert(postgres: &Postgres, name: &str) -> Result<(), UnitError<Refusal>> {
    let name = name.to_owned();
    postgres
        .transaction(|tx| {
            let name = name.clone();
            Box::pin(async move {
                sqlx::query("INSERT INTO notes (name) VALUES ($1)")
                    .bind(name)
                    .execute(tx)
                    .await?;
                Ok(())
            })
        })
        .await
}

/// Writes until told to stop; returns what was acknowledged, and fails at an error that does not say "try again".
async fn write(
    postgres: Postgres,
    writer: usize,
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<String> {
    let mut kept = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let name = format!("{writer}-{number}");
        match insert(&postgres, &name).await {
            Ok(()) => {
                kept.push(name);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(UnitError::Store(error)) => assert!(error.is_unavailable(), "{error:?}"),
            Err(UnitError::Refused(refused)) => unreachable!("{refused:?}"),
        }
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_work_goes_on_by_itself() {
    let mut server = Server::create().await;
    let postgres = open(&server.config()).await;
    let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
            tokio::spawn(write(postgres.clone(), writer, acknowledged, stop))
        })
        .collect();
    server
        .stop_and_kill_amid(async || advance(&acknowledged, ENOUGH).await)
        .await;
    stop.store(true, Ordering::Relaxed);
    let mut kept = BTreeSet::new();
    for writer in writers {
        kept.extend(writer.await.unwrap());
    }
    let there: BTreeSet<String> = names(&postgres).await.into_iter().collect();
    let lost: Vec<_> = kept.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[tokio::test]
async fn while_the_server_is_down_callers_are_told_to_try_again() {
    let mut server = Server::create().await;
    let mut config = server.config();
    // Longer than a busy machine takes to connect.
    config.acquire = Duration::from_secs(5).into();
    let postgres = open(&config).await;
    insert(&postgres, "before").await.unwrap();
    server.stop().await;
    let error = insert(&postgres, "during").await.unwrap_err();
    assert!(
        matches!(&error, UnitError::Store(error @ Error::Unreachable { .. }) if error.is_unavailable()),
        "{error:?}"
    );
    server.start().await;
    insert(&postgres, "after").await.unwrap();
    assert_eq!(names(&postgres).await, ["after", "before"]);
}
