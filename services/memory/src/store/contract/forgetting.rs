//! How memories go: hidden, erased, and with their session.

use harombe_types::MemoryId;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

use super::memories::{BY_PERSON, change, changed, erasure, fact, kept, record, saving, texts};
use super::place::{Place, on_each};
use super::*;
use crate::domain::{Act, Actor, Change, Erasure, Hide, Listing, MemoryLimits, NewMemory, Saving, Which};

on_each![
    hiding_and_restoring_happen_once,
    what_is_erased_is_gone,
    what_is_due_is_erased,
    a_session_goes_with_its_memories,
    a_run_saves_nothing_for_a_session_that_is_gone,
    what_is_erased_leaves_the_log_when_nobody_reads_it,
];

async fn hiding_and_restoring_happen_once(place: Place) {
    let store = place.memories().await;
    let new = fact("x");
    kept(&*store, &ann(), vec![new.clone()]).await;
    let by_model = Act::Hide(Hide::ByModel);
    let stranger = Change {
        owner: owner("acme", "bob"),
        ..change(new.id, by_model)
    };
    assert!(matches!(store.change(stranger).await, Err(Error::NotFound(_))));
    let unknown = change(MemoryId::generate(&SystemClock), by_model);
    assert!(matches!(store.change(unknown).await, Err(Error::NotFound(_))));

    let hidden = changed(&*store, new.id, by_model).await;
    assert_eq!(
        (hidden.memory.hidden_at, hidden.memory.erased_at),
        (Some(NOW), None)
    );
    assert_eq!(hidden.steps.len(), 1);
    assert!(changed(&*store, new.id, by_model).await.steps.is_empty());
    let forgotten = changed(&*store, new.id, BY_PERSON).await;
    assert_eq!(forgotten.memory.erased_at, Some(NOW.plus(Duration::from_secs(1))));
    let later = Change {
        now: NOW.plus(Duration::from_secs(60)),
        ..change(new.id, BY_PERSON)
    };
    let again = store.change(later).await.unwrap();
    assert!(again.steps.is_empty());
    assert_eq!(again.memory.erased_at, forgotten.memory.erased_at);
    // a model's wish takes nothing back
    assert!(changed(&*store, new.id, by_model).await.steps.is_empty());
    assert!(store.memory(&ann(), new.id).await.unwrap().erased_at.is_some());
    let restored = changed(&*store, new.id, Act::Restore).await;
    assert_eq!(
        (restored.memory.hidden_at, restored.memory.erased_at),
        (None, None)
    );
    assert!(changed(&*store, new.id, Act::Restore).await.steps.is_empty());
    assert!(
        store
            .due_erasures(Timestamp::from_millis(i64::MAX), 9)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn what_is_erased_is_gone(place: Place) {
    let store = place.memories().await;
    let (new, other) = (fact("x"), fact("y"));
    kept(&*store, &ann(), vec![new.clone(), other.clone()]).await;
    let stranger = Erasure {
        owner: owner("acme", "bob"),
        ..erasure(Which::One(new.id), NOW)
    };
    assert!(matches!(store.erase(stranger).await, Err(Error::NotFound(_))));
    let steps = store.erase(erasure(Which::One(new.id), NOW)).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert!(matches!(
        store.memory(&ann(), new.id).await,
        Err(Error::NotFound(_))
    ));
    // as long as it is not on record, who asks again is to record it
    assert_eq!(
        store.erase(erasure(Which::One(new.id), NOW)).await.unwrap(),
        steps
    );
    record(&*store, &steps, 4).await;
    let again = store.erase(erasure(Which::One(new.id), NOW)).await;
    assert!(matches!(again, Err(Error::NotFound(_))));
    assert_eq!(store.revision(&ann()).await.unwrap().epoch, 1);
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["y"]);
    let works = store.outbox(9).await.unwrap();
    assert_eq!((works.len(), works[2].point), (3, new.point));
    // the id is free again
    assert_eq!(
        kept(
            &*store,
            &ann(),
            vec![NewMemory {
                point: Uuid::now_v7(),
                ..new
            }]
        )
        .await
        .new,
        1
    );
}

async fn what_is_due_is_erased(place: Place) {
    let store = place.memories().await;
    let (first, second) = (fact("x"), fact("y"));
    kept(&*store, &ann(), vec![first.clone(), second.clone(), fact("z")]).await;
    changed(&*store, first.id, BY_PERSON).await;
    changed(&*store, second.id, BY_PERSON).await;
    let due = NOW.plus(Duration::from_secs(1));
    assert!(store.due_erasures(NOW, 9).await.unwrap().is_empty());
    assert_eq!(store.due_erasures(due, 9).await.unwrap(), [ann()]);
    assert!(store.erase(erasure(Which::Due(9), NOW)).await.unwrap().is_empty());
    changed(&*store, second.id, Act::Restore).await;
    assert_eq!(store.erase(erasure(Which::Due(9), due)).await.unwrap().len(), 1);
    assert!(store.due_erasures(due, 9).await.unwrap().is_empty());
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["z", "y"]);
}

async fn a_session_goes_with_its_memories(place: Place) {
    let (sessions, store) = place.both().await;
    let id = session(&*sessions).await;
    let said = |text: &str| NewMemory {
        session: Some(id),
        ordinal: None,
        ..fact(text)
    };
    let gone = said("a");
    kept(&*store, &ann(), vec![gone.clone(), fact("stays")]).await;
    // not seen yet
    store.save(saving(&ann(), vec![said("b")])).await.unwrap();
    let bob = owner("acme", "bob");
    kept(
        &*store,
        &bob,
        vec![said("bob's, of a session that has the same id")],
    )
    .await;
    sessions.delete_session(&ann(), id).await.unwrap();
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["stays"]);
    assert_eq!(texts(&*store, &bob, Listing::default()).await.len(), 1);
    assert_eq!(store.revision(&ann()).await.unwrap().epoch, 1);
    let works = store.outbox(9).await.unwrap();
    let deleted: Vec<_> = works
        .iter()
        .filter(|work| work.what == crate::domain::What::Delete)
        .collect();
    assert_eq!(deleted.len(), 2);
    assert_eq!((deleted[0].point, &deleted[0].owner), (gone.point, &ann()));
    // and leaves room
    let most = MemoryLimits {
        per_subject: 2,
        per_tenant: 3,
    };
    let two = Saving {
        most,
        ..saving(&ann(), vec![fact("new")])
    };
    store.save(two).await.unwrap();
}

async fn a_run_saves_nothing_for_a_session_that_is_gone(place: Place) {
    let (sessions, store) = place.both().await;
    let id = session(&*sessions).await;
    let by = |owner: &Owner, run: RunPrincipal| Saving {
        actor: Actor::Run {
            agent: run.agent,
            session: run.session,
            run: run.run,
        },
        ..saving(
            owner,
            vec![NewMemory {
                session: Some(run.session),
                ordinal: None,
                ..fact("late")
            }],
        )
    };
    let saved = store.save(by(&ann(), run_in(id))).await.unwrap();
    record(&*store, &saved.steps, 3).await;
    let gone = |result: Result<_, Error>| assert!(matches!(result, Err(Error::NotFound("session"))));
    gone(store.save(by(&owner("acme", "bob"), run_in(id))).await);
    sessions.delete_session(&ann(), id).await.unwrap();
    gone(store.save(by(&ann(), run_in(id))).await);
    assert!(texts(&*store, &ann(), Listing::default()).await.is_empty());

    // whoever comes first, nothing is left of it
    for _ in 0..10 {
        let id = session(&*sessions).await;
        let (owner, late) = (ann(), by(&ann(), run_in(id)));
        let (saved, deleted) = tokio::join!(store.save(late), sessions.delete_session(&owner, id));
        deleted.unwrap();
        if let Ok(saved) = saved {
            record(&*store, &saved.steps, 3).await;
        }
        assert!(texts(&*store, &ann(), Listing::default()).await.is_empty());
    }
}

async fn what_is_erased_leaves_the_log_when_nobody_reads_it(place: Place) {
    const SECRET: &str = "the cat is called Mephistopheles";
    // a server's log is the server's
    let Some(file) = place.file() else { return };
    let store = place.memories().await;
    let new = fact(SECRET);
    kept(&*store, &ann(), vec![new.clone()]).await;
    let is_there = |file: &std::path::Path| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes
            .windows(SECRET.len())
            .any(|window| window == SECRET.as_bytes())
    };
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    let log = std::path::PathBuf::from(log);

    let mut reader = SqliteConnectOptions::new()
        .filename(&file)
        .connect()
        .await
        .unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM memories")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(count, 1);
    store.erase(erasure(Which::One(new.id), NOW)).await.unwrap();
    assert!(is_there(&log), "it cannot be emptied while somebody reads it");
    store.sweep().await.unwrap();
    assert!(is_there(&log));
    sqlx::query("ROLLBACK").execute(&mut reader).await.unwrap();
    store.sweep().await.unwrap();
    assert!(!is_there(&log) && !is_there(&file));
}
