//! A person who is erased: part by part, with all that is known of them.

use harombe_types::{MemoryId, WorkspaceId};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::memories::{BY_PERSON, change, erasure, fact, kept, record, saving, texts};
use super::place::{Place, on_each};
use super::*;
use crate::domain::{
    Change, Erasure, Generation, Listing, MemoryLimits, NewMemory, Revision, Saving, Source, What, Which,
};
use crate::store::MemoryStore;

on_each![
    what_there_is_of_a_person_is_told,
    busy_sessions_hide_no_others,
    memories_go_part_by_part_and_their_owner_with_the_last,
    nothing_names_who_was_erased,
    what_vectors_are_to_be_told_stays_until_they_were,
    the_next_of_the_name_is_another,
    a_look_at_who_was_erased_is_not_written,
];

/// Nobody else's name has it.
const NAME: &str = "zoe-who-is-erased";

fn zoe() -> Owner {
    owner("acme", NAME)
}

async fn session_of(store: &dyn Store, owner: &Owner) -> SessionId {
    let id = SessionId::generate(&SystemClock);
    let agent = "default".parse().unwrap();
    store.create_session(owner, id, &agent, NOW).await.unwrap();
    id
}

/// A new run of Zoe's.
fn zoes(session: SessionId) -> RunPrincipal {
    RunPrincipal {
        subject: zoe().subject,
        ..run_in(session)
    }
}

/// All that is left, in parts of so many.
async fn erase_all(store: &dyn MemoryStore, owner: &Owner, limit: u32) -> Vec<u64> {
    let mut parts = Vec::new();
    loop {
        let part = store.erase_person(owner, limit).await.unwrap();
        parts.push(part.memories);
        if !part.more {
            return parts;
        }
    }
}

async fn what_there_is_of_a_person_is_told(place: Place) {
    let (store, memories) = place.both().await;
    let nothing = store.belongings(&zoe(), 9, 9).await.unwrap();
    assert_eq!(
        (nothing.free.len(), nothing.in_use, nothing.memories),
        (0, 0, None)
    );
    let (first, second) = (
        session_of(&*store, &zoe()).await,
        session_of(&*store, &zoe()).await,
    );
    for stranger in [owner("acme", "bob"), owner("other", NAME)] {
        session_of(&*store, &stranger).await;
        kept(&*memories, &stranger, vec![fact("theirs")]).await;
    }
    let free = store.belongings(&zoe(), 9, 9).await.unwrap().free;
    assert_eq!(free.len(), 2);
    assert!(free.contains(&first) && free.contains(&second), "{free:?}");
    assert_eq!(store.belongings(&zoe(), 1, 9).await.unwrap().free.len(), 1);
    memories
        .save(saving(&zoe(), vec![fact("not seen yet")]))
        .await
        .unwrap();
    kept(&*memories, &zoe(), vec![fact("seen")]).await;
    let workspace: WorkspaceId = "0199f3a0-0000-7000-8000-00000000000a.0199f3a0-0000-7000-8000-000000000001"
        .parse()
        .unwrap();
    store.attach_workspace(&zoe(), first, workspace).await.unwrap();
    let said = NewMemory {
        session: Some(first),
        ordinal: None,
        ..fact("said")
    };
    kept(&*memories, &zoe(), vec![said]).await;
    assert_eq!(store.belongings(&zoe(), 9, 9).await.unwrap().memories, Some(3));

    let erased = store.erase_session(&zoe(), first).await.unwrap();
    assert_eq!((erased.id, erased.agent.as_str()), (first, "default"));
    assert_eq!(
        (erased.workspace, erased.memories),
        (Some(workspace.to_string()), 1)
    );
    let erased = store.erase_session(&zoe(), second).await.unwrap();
    assert_eq!((erased.workspace, erased.memories), (None, 0));
    let again = store.erase_session(&zoe(), second).await;
    assert!(matches!(again, Err(Error::NotFound("session"))), "{again:?}");
    let left = store.belongings(&zoe(), 9, 9).await.unwrap();
    assert_eq!((left.free.len(), left.memories), (0, Some(2)));
}

async fn busy_sessions_hide_no_others(place: Place) {
    let store = place.open().await;
    let quiet = session_of(&*store, &zoe()).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = zoes(session_of(&*store, &zoe()).await);
        store.begin_turn(begin(&run, "m")).await.unwrap();
        runs.push(run);
    }
    let found = store.belongings(&zoe(), 1, 2).await.unwrap();
    assert_eq!((found.free, found.in_use), (vec![quiet], 3));
    assert_eq!(found.uncancelled, runs[..2]);
    for run in &found.uncancelled {
        let asked = store.request_cancel(run, "why").await.unwrap();
        assert_eq!(asked, RunState::Active);
    }
    let found = store.belongings(&zoe(), 1, 2).await.unwrap();
    assert_eq!((found.uncancelled.as_slice(), found.in_use), (&runs[2..], 3));
    let busy = store.erase_session(&zoe(), runs[0].session).await;
    assert!(matches!(busy, Err(Error::SessionBusy)), "{busy:?}");
    store.finish_turn(finish(&runs[0], 1, &["answer"])).await.unwrap();
    let found = store.belongings(&zoe(), 9, 9).await.unwrap();
    assert_eq!((found.free.len(), found.in_use), (2, 2));
    assert!(found.free.contains(&runs[0].session));
}

async fn memories_go_part_by_part_and_their_owner_with_the_last(place: Place) {
    let store = place.memories().await;
    let facts: Vec<_> = (0..5).map(|number| fact(&number.to_string())).collect();
    kept(&*store, &zoe(), facts.clone()).await;
    let hidden = NewMemory {
        hidden_at: Some(NOW),
        erased_at: Some(NOW),
        ..fact("to be erased later")
    };
    kept(&*store, &zoe(), vec![hidden]).await;
    store
        .save(saving(&zoe(), vec![fact("not seen yet")]))
        .await
        .unwrap();
    kept(&*store, &ann(), vec![fact("ann's")]).await;
    let before = store.outbox(100).await.unwrap().len();
    let part = store.erase_person(&zoe(), 3).await.unwrap();
    assert_eq!((part.memories, part.more), (3, true));
    assert_eq!(texts(&*store, &zoe(), Listing::default()).await, ["4", "3"]);
    assert_eq!(store.revision(&zoe()).await.unwrap().epoch, 1);
    assert_eq!(erase_all(&*store, &zoe(), 3).await, [3, 1]);
    assert_eq!(store.revision(&zoe()).await.unwrap(), Revision::default());
    assert_eq!(erase_all(&*store, &zoe(), 3).await, [0]);
    let works = store.outbox(100).await.unwrap();
    assert!(works.len() <= before, "{works:?}");

    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["ann's"]);
    // all of them leave room
    let most = MemoryLimits {
        per_subject: 3,
        per_tenant: 4,
    };
    let three = (0..3).map(|number| fact(&number.to_string())).collect();
    let room = Saving {
        most,
        ..saving(&zoe(), three)
    };
    assert_eq!(store.save(room).await.unwrap().new, 3);
}

/// Whether any row of any table has the word.
async fn is_somewhere(place: &Place, word: &str) -> Option<String> {
    let Some(mut server) = place.beside().await else {
        let file = place.file().unwrap();
        let mut log = file.clone().into_os_string();
        log.push("-wal");
        let has = |path: &std::path::Path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(word.len()).any(|window| window == word.as_bytes())
        };
        return (has(&file) || has(std::path::Path::new(&log))).then(|| "the file".to_owned());
    };
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'harombe_memory'",
    )
    .fetch_all(&mut server)
    .await
    .unwrap();
    assert!(tables.len() > 12, "{tables:?}");
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    for table in tables {
        let found = rows_with(&mut server, &table, word).await + rows_with(&mut server, &table, &hex).await;
        if found > 0 {
            return Some(table);
        }
    }
    server.close().await.unwrap();
    None
}

async fn rows_with(server: &mut PgConnection, table: &str, word: &str) -> i64 {
    let count = format!("SELECT count(*) FROM harombe_memory.{table} AS r WHERE r::text LIKE '%{word}%'");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count))
        .fetch_one(server)
        .await
        .unwrap()
}

/// Whatever was kept, and whatever state it was in.
async fn nothing_names_who_was_erased(place: Place) {
    const SECRET: &str = "what-only-zoe-said";
    let (sessions, store) = place.both().await;
    let run = zoes(session_of(&*sessions, &zoe()).await);
    let first = begin(&run, SECRET);
    let first = Begin {
        client_instructions: SECRET.to_owned(),
        token: format!("{NAME} {SECRET}"),
        ..first
    };
    sessions.begin_turn(first).await.unwrap();
    sessions.request_cancel(&run, SECRET).await.unwrap();
    sessions.finish_turn(finish(&run, 1, &[SECRET])).await.unwrap();
    let saved = kept(&*store, &zoe(), vec![fact(SECRET), fact("another")]).await;
    changed_of(&*store, saved.memories[0].id).await;
    // one that the log refuses, and one that it has not been told of
    let refused = store
        .save(saving(&zoe(), vec![fact(SECRET)]))
        .await
        .unwrap()
        .steps;
    store.set_aside(&refused[0]).await.unwrap();
    let waiting = store
        .save(saving(&zoe(), vec![fact(SECRET)]))
        .await
        .unwrap()
        .steps;
    assert!(is_somewhere(&place, SECRET).await.is_some());

    sessions.erase_session(&zoe(), run.session).await.unwrap();
    assert_eq!(erase_all(&*store, &zoe(), 2).await, [2, 2]);
    assert_eq!(is_somewhere(&place, SECRET).await, None);
    // what is to be on record is not forgotten
    assert_eq!(store.steps_of(&zoe(), 9).await.unwrap(), waiting);
    assert!(is_somewhere(&place, NAME).await.is_some());
    record(&*store, &waiting, 9).await;
    assert_eq!(store.steps_of(&zoe(), 9).await.unwrap(), []);
    store.erase_person(&zoe(), 9).await.unwrap();
    assert_eq!(is_somewhere(&place, NAME).await, None);
    let left = sessions.belongings(&zoe(), 9, 9).await.unwrap();
    assert_eq!((left.free.len(), left.in_use, left.memories), (0, 0, None));
    // a step that is refused is a reason to come again
    store.save(saving(&zoe(), vec![fact("x")])).await.unwrap();
    let late = store.steps_of(&zoe(), 9).await.unwrap();
    store.erase_person(&zoe(), 9).await.unwrap();
    assert_eq!(sessions.belongings(&zoe(), 9, 9).await.unwrap().memories, None);
    store.set_aside(&late[0]).await.unwrap();
    assert_eq!(sessions.belongings(&zoe(), 9, 9).await.unwrap().memories, Some(0));
    store.erase_person(&zoe(), 9).await.unwrap();
    assert_eq!(store.take_up_again().await.unwrap(), 0);
    assert_eq!(is_somewhere(&place, NAME).await, None);
}

/// Hides a memory of Zoe's, on record.
async fn changed_of(store: &dyn MemoryStore, id: MemoryId) {
    let hide = Change {
        owner: zoe(),
        ..change(id, BY_PERSON)
    };
    let changed = store.change(hide).await.unwrap();
    record(store, &changed.steps, 8).await;
}

async fn what_vectors_are_to_be_told_stays_until_they_were(place: Place) {
    let store = place.memories().await;
    let model = Generation {
        name: "model".to_owned(),
        dimension: 3,
        source: Source::Folder("model".into()),
        complete: true,
    };
    let generations = place.generations().await;
    generations.put_generation(&model).await.unwrap();
    let saved = kept(&*store, &zoe(), vec![fact("a"), fact("b")]).await;
    kept(&*store, &ann(), vec![fact("c")]).await;
    assert_eq!(erase_all(&*store, &zoe(), 9).await, [2]);
    let works = store.outbox(9).await.unwrap();
    let of_zoe: Vec<_> = works.iter().filter(|work| work.owner == zoe()).collect();
    let told: Vec<_> = of_zoe.iter().map(|work| (work.point, work.what)).collect();
    let points = [saved.memories[0].point, saved.memories[1].point];
    let each = |what: What| points.map(|point| (point, what));
    assert_eq!(told, [each(What::Put), each(What::Delete)].concat());
    // without vectors there is nobody to be told
    generations.remove_generation("model").await.unwrap();
    kept(&*store, &zoe(), vec![fact("d")]).await;
    assert_eq!(erase_all(&*store, &zoe(), 9).await, [1]);
    let works = store.outbox(9).await.unwrap();
    assert_eq!(works.len(), 1, "{works:?}");
    assert_eq!(works[0].owner, ann());
}

async fn the_next_of_the_name_is_another(place: Place) {
    let store = place.memories().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        kept(&*store, &zoe(), vec![fact("a"), fact("b")]).await;
        let revision = store.revision(&zoe()).await.unwrap();
        assert_eq!((revision.rev, revision.epoch), (2, 0));
        assert!(
            seen.iter().all(|other: &Revision| !other.is_of(revision)),
            "{seen:?}"
        );
        seen.push(revision);
        // a memory that is erased leaves them who they are
        let id = store
            .list(
                &zoe(),
                &Listing {
                    limit: 1,
                    ..Listing::default()
                },
            )
            .await
            .unwrap()[0]
            .id;
        let one = Erasure {
            owner: zoe(),
            ..erasure(Which::One(id), NOW)
        };
        store.erase(one).await.unwrap();
        let after = store.revision(&zoe()).await.unwrap();
        assert_eq!((after.incarnation, after.epoch), (revision.incarnation, 1));
        erase_all(&*store, &zoe(), 9).await;
        assert_eq!(store.revision(&zoe()).await.unwrap(), Revision::default());
    }
    if place.is_shared() {
        let peers = place.peers().await;
        kept(&*store, &ann(), vec![fact("c")]).await;
        let there = store.revision(&ann()).await.unwrap().incarnation;
        let asked = vec![
            (zoe(), seen[2].incarnation),
            (ann(), there),
            (ann(), there + 1),
            (zoe(), 0),
        ];
        let mut gone = peers.gone(asked).await.unwrap();
        gone.sort_by(|one, other| one.subject.cmp(&other.subject));
        assert_eq!(gone, [ann(), zoe(), zoe()]);
    }
}

async fn a_look_at_who_was_erased_is_not_written(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    kept(&*store, &ann(), vec![fact("a"), fact("b"), fact("c")]).await;
    let look = consolidation::plan(0, 3);
    erase_all(&*store, &ann(), 9).await;
    assert_eq!(consolidations.consolidate(look.clone()).await.unwrap(), None);
    kept(&*store, &ann(), vec![fact("new")]).await;
    assert_eq!(consolidations.consolidate(look).await.unwrap(), None);
    assert_eq!(consolidation::looked(&*consolidations).await, [0]);
}
