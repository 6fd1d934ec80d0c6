//! A unit sees its own writes, keeps its failures to itself, and is never half done.

use std::sync::Arc;

use harombe_sql::{Error, Limits, UnitError, Units};
use tokio::sync::Notify;

use crate::{Refusal, add, insert, names, open, unit};

async fn started(directory: &tempfile::TempDir) -> (harombe_sql::Database, Units<char>) {
    let (database, writer) = open(&directory.path().join("notes.db")).await;
    (database, Units::start(writer, Limits::default()))
}

/// Fills one group: the first unit holds the writer until all the others wait in the queue.
async fn hold(units: &Units<char>) -> Arc<Notify> {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, go) = (Arc::clone(&entered), Arc::clone(&release));
    let units = units.clone();
    tokio::spawn(async move {
        let holding = unit(move |_tx| {
            Box::pin(async move {
                inside.notify_one();
                go.notified().await;
                Ok(())
            })
        });
        units.run(&'h', holding).await.unwrap();
    });
    entered.notified().await;
    release
}

#[tokio::test]
async fn refusals_and_broken_rules_leave_the_neighbours_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (database, units) = started(&directory).await;
    let release = hold(&units).await;
    let refused = unit(|tx| {
        Box::pin(async move {
            insert(tx, "undone".into(), 8).await?;
            Err::<i64, _>(UnitError::Refused(Refusal("second thoughts")))
        })
    });
    let panicking = unit::<i64, _>(|tx| {
        Box::pin(async move {
            insert(tx, "lost".into(), 8).await?;
            panic!("a fault in a unit")
        })
    });
    let all = async {
        tokio::join!(
            units.run(&'a', add("first")),
            units.run(&'a', refused),
            units.run(&'b', add("first")),
            units.run(&'b', panicking),
            units.run(&'c', add("last")),
        )
    };
    let release = async {
        tokio::task::yield_now().await;
        release.notify_one();
    };
    let ((first, refused, twin, panicked, last), ()) = tokio::join!(all, release);
    // turns: a, b, c, a, b; so the twin's row id was taken by nobody
    assert_eq!(first.unwrap(), 1);
    assert_eq!(last.unwrap(), 2);
    assert!(
        matches!(refused, Err(UnitError::Refused(Refusal("second thoughts")))),
        "{refused:?}"
    );
    let Err(UnitError::Store(error)) = twin else {
        panic!("{twin:?}")
    };
    assert!(error.is_unique_violation(), "{error:?}");
    assert!(
        matches!(panicked, Err(UnitError::Store(Error::Panicked))),
        "{panicked:?}"
    );
    assert_eq!(names(&database).await, ["first", "last"]);
}

#[tokio::test]
async fn a_unit_that_is_alone_leaves_nothing_either_when_it_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let (database, units) = started(&directory).await;
    for _ in 0..3 {
        let refused = unit(|tx| {
            Box::pin(async move {
                insert(tx, "undone".into(), 8).await?;
                Err::<i64, _>(UnitError::Refused(Refusal("second thoughts")))
            })
        });
        let refused = units.run(&'a', refused).await;
        assert!(matches!(refused, Err(UnitError::Refused(_))), "{refused:?}");
        assert!(names(&database).await.is_empty());
    }
    let panicking = unit::<i64, _>(|tx| {
        Box::pin(async move {
            insert(tx, "lost".into(), 8).await?;
            panic!("a fault in a unit")
        })
    });
    units.run(&'a', panicking).await.unwrap_err();
    assert_eq!(units.run(&'a', add("kept")).await.unwrap(), 1);
    assert_eq!(names(&database).await, ["kept"]);
}

#[tokio::test]
async fn a_unit_whose_caller_goes_away_is_still_done() {
    let directory = tempfile::tempdir().unwrap();
    let (database, units) = started(&directory).await;
    let release = hold(&units).await;
    {
        let running = units.run(&'a', add("orphan"));
        tokio::pin!(running);
        assert!(futures_util::poll!(&mut running).is_pending());
    }
    release.notify_one();
    units.run(&'a', add("next")).await.unwrap();
    assert_eq!(names(&database).await, ["orphan", "next"]);
}

#[tokio::test]
async fn shutting_down_finishes_what_waits_and_refuses_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let (database, units) = started(&directory).await;
    let release = hold(&units).await;
    let waiting: Vec<_> = (0..50)
        .map(|number| {
            let units = units.clone();
            tokio::spawn(async move { units.run(&'a', add(format!("note {number}"))).await })
        })
        .collect();
    // one turn of the scheduler puts every spawned unit into the queue
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let units = units.clone();
        async move { units.shutdown().await }
    });
    tokio::task::yield_now().await;
    release.notify_one();
    closing.await.unwrap();
    for unit in waiting {
        unit.await.unwrap().unwrap();
    }
    assert_eq!(names(&database).await.len(), 50);
    let late = units.run(&'a', add("late")).await;
    assert!(matches!(late, Err(UnitError::Store(Error::Closed))), "{late:?}");
}
