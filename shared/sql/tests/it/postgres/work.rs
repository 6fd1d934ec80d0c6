//! Transactions: all or nothing, and again when another was in the way.

use std::sync::Arc;

use harombe_sql::{Error, Postgres, UnitError};
use harombe_testkit::postgres::Database;
use tokio::sync::Barrier;

use super::{names, open};
use crate::Refusal;

async fn add(postgres: &Postgres, name: &str, then: Result<(), Refusal>) -> Result<(), UnitError<Refusal>> {
    let name = name.to_owned();
    let refusal = then.err().map(|refusal| refusal.0);
    postgres
        .transaction(|tx| {
            let name = name.clone();
            Box::pin(async move {
                sqlx::query("INSERT INTO notes (name) VALUES ($1)")
                    .bind(name)
                    .execute(tx)
                    .await?;
                refusal.map_or(Ok(()), |refusal| Err(UnitError::Refused(Refusal(refusal))))
            })
        })
        .await
}

#[tokio::test]
async fn what_is_refused_or_breaks_a_rule_leaves_nothing() {
    let database = Database::create().await;
    let postgres = open(&database.config()).await;
    add(&postgres, "kept", Ok(())).await.unwrap();
    let refused = add(&postgres, "refused", Err(Refusal("no"))).await.unwrap_err();
    assert!(
        matches!(refused, UnitError::Refused(Refusal("no"))),
        "{refused:?}"
    );
    let twice = add(&postgres, "kept", Ok(())).await.unwrap_err();
    assert!(
        matches!(&twice, UnitError::Store(error) if error.is_unique_violation()),
        "{twice:?}"
    );
    assert_eq!(names(&postgres).await, ["kept"]);
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_done_again() {
    let database = Database::create().await;
    let postgres = open(&database.config()).await;
    for name in ["a", "b"] {
        add(&postgres, name, Ok(())).await.unwrap();
    }
    let both_hold_one = Arc::new(Barrier::new(2));
    let swap = async |first: &'static str, second: &'static str| {
        let meet = Arc::clone(&both_hold_one);
        let again = Arc::new(std::sync::atomic::AtomicBool::new(false));
        postgres
            .transaction(|tx| {
                let (meet, again) = (Arc::clone(&meet), Arc::clone(&again));
                Box::pin(async move {
                    let lock = "SELECT id FROM notes WHERE name = $1 FOR UPDATE";
                    sqlx::query(lock).bind(first).execute(&mut *tx).await?;
                    if !again.swap(true, std::sync::atomic::Ordering::Relaxed) {
                        meet.wait().await;
                    }
                    sqlx::query(lock).bind(second).execute(&mut *tx).await?;
                    Ok::<_, UnitError<Refusal>>(())
                })
            })
            .await
    };
    let (one, other) = tokio::join!(swap("a", "b"), swap("b", "a"));
    one.unwrap();
    other.unwrap();
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced_unseen() {
    let database = Database::create().await;
    let postgres = open(&database.config()).await;
    let other = open(&database.config()).await;
    let ids: Vec<_> = (0..24).map(|number| format!("n{number:02}")).collect();
    for round in ids.chunks(8) {
        let added = round.iter().map(|name| add(&postgres, name, Ok(())));
        for added in futures_util::future::join_all(added).await {
            added.unwrap();
        }
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .execute(other.pool())
        .await
        .unwrap();
    }
    assert_eq!(names(&postgres).await, ids);
}

#[tokio::test]
async fn a_closed_pool_says_so() {
    let database = Database::create().await;
    let postgres = open(&database.config()).await;
    postgres.close().await;
    let error = add(&postgres, "a", Ok(())).await.unwrap_err();
    assert!(
        matches!(&error, UnitError::Store(error @ Error::Unreachable { .. }) if error.is_unavailable()),
        "{error:?}"
    );
}
