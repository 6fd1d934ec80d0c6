//! Sessions, turns and journals.

use harombe_types::{SessionId, SystemClock};

use super::place::{Place, on_each};
use super::*;
use crate::domain::ClaimedTurn;

const WORKSPACE: &str = "0199f3a0-0000-7000-8000-00000000000a.0199f3a0-0000-7000-8000-000000000001";
const OTHER_WORKSPACE: &str = "0199f3a0-0000-7000-8000-00000000000b.0199f3a0-0000-7000-8000-000000000002";

on_each![
    a_session_is_made_once_and_is_its_owners,
    sessions_are_listed_by_their_last_update,
    a_turn_reads_back_as_it_was,
    a_message_begins_one_turn,
    a_turn_that_cannot_begin_leaves_nothing,
    the_newest_turns_within_the_selection_are_read,
    what_a_client_brought_along_is_older_than_all_turns,
    entries_are_written_once_and_in_their_place,
    a_turn_ends_once,
    any_text_is_kept,
    a_deleted_session_is_gone_with_all_that_hung_on_it,
    everything_is_there_after_a_restart,
];

async fn a_session_is_made_once_and_is_its_owners(place: Place) {
    let store = place.open().await;
    let (id, agent) = (SessionId::generate(&SystemClock), "default".parse().unwrap());
    let made = store.create_session(&ann(), id, &agent, NOW).await.unwrap();
    let again = store
        .create_session(&ann(), id, &"other".parse().unwrap(), expires())
        .await
        .unwrap();
    assert_eq!(again, made);
    assert_eq!(
        (made.agent.as_str(), made.created, made.turns),
        ("default", NOW, 0)
    );
    assert_eq!(store.session(&ann(), id).await.unwrap(), made);
    for stranger in [owner("acme", "bob"), owner("other", "ann")] {
        assert!(matches!(
            store.session(&stranger, id).await,
            Err(Error::NotFound(_))
        ));
        assert!(matches!(
            store.turns(&stranger, id, everything()).await,
            Err(Error::NotFound(_))
        ));
        assert!(matches!(
            store.delete_session(&stranger, id).await,
            Err(Error::NotFound(_))
        ));
        let bound = store.attach_workspace(&stranger, id, WORKSPACE.parse().unwrap());
        assert!(bound.await.is_err());
    }
    let stolen = store.create_session(&owner("acme", "bob"), id, &agent, NOW).await;
    assert!(matches!(stolen, Err(Error::NotFound(_))));
    store
        .create_session(&owner("other", "ann"), id, &agent, NOW)
        .await
        .unwrap();
    assert_eq!(store.session(&ann(), id).await.unwrap(), made);
}

async fn sessions_are_listed_by_their_last_update(place: Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for second in 0..5 {
        let id = SessionId::generate(&SystemClock);
        let at = NOW.plus(Duration::from_secs(second / 2));
        store
            .create_session(&ann(), id, &"default".parse().unwrap(), at)
            .await
            .unwrap();
        ids.insert(0, id);
    }
    let list = async |limit, after| -> Vec<SessionId> {
        let sessions = store.sessions(&ann(), limit, after).await.unwrap();
        sessions.into_iter().map(|session| session.id).collect()
    };
    assert_eq!(list(9, None).await, ids);
    assert_eq!(list(2, None).await, ids[..2]);
    assert_eq!(list(2, Some(ids[1])).await, ids[2..4]);
    assert_eq!(list(2, Some(ids[4])).await, []);
    assert_eq!(store.sessions(&owner("acme", "bob"), 9, None).await.unwrap(), []);
    let unknown = store
        .sessions(&ann(), 9, Some(SessionId::generate(&SystemClock)))
        .await;
    assert!(matches!(unknown, Err(Error::NotFound(_))));
}

async fn a_turn_reads_back_as_it_was(place: Place) {
    let store = place.open().await;
    let (run, begun) = begun(&*store).await;
    assert_eq!((begun.run, begun.cursor, &begun.last_run), (run.run, 2, &None));
    let lease = begun.lease.unwrap();
    assert_eq!((lease.epoch, lease.expires), (1, expires()));
    let seen = store.run(&ann(), run.run).await.unwrap();
    assert_eq!(
        (seen.session, seen.state, seen.cursor),
        (run.session, RunState::Active, 2)
    );
    assert_eq!((seen.started, seen.finished), (NOW, None));
    let header = store.header(&run).await.unwrap();
    assert_eq!(
        (header.message.as_slice(), header.client_message_id.as_str()),
        (&b"m1"[..], "m1")
    );
    let busy = store.session(&ann(), run.session).await.unwrap();
    assert_eq!(busy.active_run, Some(run.run.to_string()));
    let entries = store.entries(&ann(), run.run, 0, ALL).await.unwrap();
    assert_eq!(entries[0].event.as_deref(), Some(&b"event of seen begun"[..]));
    assert_eq!(
        (entries[1].event.as_deref(), entries[1].state.as_slice()),
        (None, &b"hidden"[..])
    );
    assert!(entries.iter().all(|entry| entry.written == NOW));

    let cursor = store
        .finish_turn(finish(&run, 1, &["answer", "more"]))
        .await
        .unwrap();
    assert_eq!(cursor, 3);
    let page = store.turns(&ann(), run.session, everything()).await.unwrap();
    assert_eq!(page.turns.len(), 1);
    assert_eq!(page.turns[0].messages, [&b"m1"[..], b"answer", b"more"]);
    assert_eq!(
        (page.turns[0].run_id.clone(), page.left_out > 0),
        (run.run.to_string(), false)
    );
    let free = store.session(&ann(), run.session).await.unwrap();
    assert_eq!((free.active_run, free.turns), (None, 1));
    let next = run_in(run.session);
    let begun = store.begin_turn(begin(&next, "m2")).await.unwrap();
    assert_eq!(begun.last_run, Some(run.run.to_string()));
}

async fn a_message_begins_one_turn(place: Place) {
    let store = place.open().await;
    let (run, first) = begun(&*store).await;
    let again = store.begin_turn(begin(&run, "m1")).await.unwrap();
    let epoch = again.lease.unwrap().epoch;
    assert!(epoch > first.lease.unwrap().epoch);
    let late = store.append(&run, 1, 2, vec![entry("late")], NOW).await;
    assert!(is_lost(&late), "{late:?}");
    let other = store.begin_turn(begin(&run_in(run.session), "m1")).await.unwrap();
    assert_eq!((other.run, other.lease, other.cursor), (run.run, None, 2));
    store
        .append(&run, epoch, 2, vec![entry("on")], NOW)
        .await
        .unwrap();
    let touched = store.begin_turn(begin(&run, "m1")).await.unwrap();
    assert_eq!((touched.run, touched.lease, touched.cursor), (run.run, None, 3));
    store.finish_turn(finish(&run, epoch, &["a"])).await.unwrap();
    let ended = store.begin_turn(begin(&run_in(run.session), "m1")).await.unwrap();
    assert_eq!((ended.run, ended.lease, ended.cursor), (run.run, None, 4));
    assert_eq!(
        store
            .turns(&ann(), run.session, everything())
            .await
            .unwrap()
            .turns
            .len(),
        1
    );
}

async fn a_turn_that_cannot_begin_leaves_nothing(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let busy = store.begin_turn(begin(&run_in(run.session), "m2")).await;
    assert!(matches!(busy, Err(Error::SessionBusy)), "{busy:?}");
    let free = session(&*store).await;
    let same_run = RunPrincipal {
        session: free,
        ..run.clone()
    };
    let taken = store.begin_turn(begin(&same_run, "m1")).await;
    assert!(matches!(taken, Err(Error::Invalid(_))), "{taken:?}");
    let other_agent = RunPrincipal {
        agent: "other".parse().unwrap(),
        ..run_in(free)
    };
    let refused = store.begin_turn(begin(&other_agent, "m1")).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let nowhere = run_in(SessionId::generate(&SystemClock));
    let refused = store.begin_turn(begin(&nowhere, "m1")).await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    let left = store.session(&ann(), free).await.unwrap();
    assert_eq!((left.active_run, left.updated), (None, NOW));
    assert_eq!(
        store.turns(&ann(), free, everything()).await.unwrap().turns.len(),
        0
    );
}

/// Ends a turn of each name in one session.
async fn conversation(store: &dyn Store, names: &[&str]) -> SessionId {
    let session = session(store).await;
    for name in names {
        let run = run_in(session);
        store.begin_turn(begin(&run, name)).await.unwrap();
        store.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    }
    session
}

async fn questions(store: &dyn Store, session: SessionId, selection: Selection) -> (Vec<String>, bool) {
    let page = store.turns(&ann(), session, selection).await.unwrap();
    let first = |turn: crate::domain::StoredTurn| String::from_utf8(turn.messages[0].clone()).unwrap();
    (page.turns.into_iter().map(first).collect(), page.left_out > 0)
}

async fn the_newest_turns_within_the_selection_are_read(place: Place) {
    let store = place.open().await;
    let session = conversation(&*store, &["one", "two", "three"]).await;
    let open = run_in(session);
    store.begin_turn(begin(&open, "open")).await.unwrap();
    let read = async |which, count, bytes| {
        let selection = Selection { which, count, bytes };
        questions(&*store, session, selection).await
    };
    let named = |names: &[&str], truncated| -> (Vec<String>, bool) {
        (names.iter().map(|&name| name.to_owned()).collect(), truncated)
    };
    assert_eq!(
        read(Turns::All, 9, 1000).await,
        named(&["one", "two", "three", "open"], false)
    );
    assert_eq!(read(Turns::All, 2, 1000).await, named(&["three", "open"], true));
    assert_eq!(
        read(Turns::Answered, 9, 1000).await,
        named(&["one", "two", "three"], false)
    );
    assert_eq!(
        read(Turns::Answered, 3, 1000).await,
        named(&["one", "two", "three"], false)
    );
    let bytes = ["two", "three"].map(|question| (question.len() + "answer".len()) as u64);
    let both = bytes[0] + bytes[1];
    assert_eq!(
        read(Turns::Answered, 9, both).await,
        named(&["two", "three"], true)
    );
    assert_eq!(read(Turns::Answered, 9, both - 1).await, named(&["three"], true));
    assert_eq!(read(Turns::Answered, 9, bytes[1] - 1).await, named(&[], true));
}

fn claimed(body: &str) -> ClaimedTurn {
    ClaimedTurn {
        body: body.as_bytes().to_vec(),
        tokens: 10,
        bytes: body.len() as u64,
    }
}

async fn what_a_client_brought_along_is_older_than_all_turns(place: Place) {
    let store = place.open().await;
    let session = session(&*store).await;
    let run = run_in(session);
    let with_history = |run: &RunPrincipal, message: &str| Begin {
        history: vec![claimed("first"), claimed("second"), claimed("third")],
        ..begin(run, message)
    };
    store.begin_turn(with_history(&run, "m1")).await.unwrap();
    // a repetition is a repetition, history and all
    let again = store.begin_turn(with_history(&run, "m1")).await.unwrap();
    let epoch = again.lease.unwrap().epoch;
    store.finish_turn(finish(&run, epoch, &["answer"])).await.unwrap();
    let late = store.begin_turn(with_history(&run_in(session), "m2")).await;
    assert!(matches!(late, Err(Error::NotFresh)), "{late:?}");
    let read = async |count, bytes| {
        let selection = Selection {
            count,
            bytes,
            ..everything()
        };
        let page = store.turns(&ann(), session, selection).await.unwrap();
        let claimed: Vec<_> = page
            .claimed
            .into_iter()
            .map(|body| String::from_utf8(body).unwrap())
            .collect();
        (claimed.join(" "), page.turns.len(), page.left_out > 0)
    };
    assert_eq!(
        read(9, u64::MAX).await,
        ("first second third".to_owned(), 1, false)
    );
    assert_eq!(read(3, u64::MAX).await, ("second third".to_owned(), 1, true));
    // the turn has 8 bytes, and what was said third 5
    assert_eq!(read(9, 13).await, ("third".to_owned(), 1, true));
    assert_eq!(read(9, 12).await, (String::new(), 1, true));
    assert_eq!(read(9, 7).await, (String::new(), 0, true));
}

async fn entries_are_written_once_and_in_their_place(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let two = || vec![entry("seen a"), entry("b")];
    for _ in 0..3 {
        let progress = store.append(&run, 1, 2, two(), NOW).await.unwrap();
        assert_eq!((progress.cursor, progress.cancel_requested), (4, false));
    }
    let other = store
        .append(&run, 1, 2, vec![entry("seen a"), entry("c")], NOW)
        .await;
    assert!(
        matches!(
            other,
            Err(Error::Cursor {
                expected: 2,
                actual: 4
            })
        ),
        "{other:?}"
    );
    for gap in [3, 5, u64::MAX] {
        let refused = store.append(&run, 1, gap, two(), NOW).await;
        assert!(matches!(refused, Err(Error::Cursor { .. })), "{refused:?}");
    }
    let read = journal(&*store, &run).await;
    let states: Vec<_> = read
        .iter()
        .map(|(cursor, state)| (*cursor, state.as_str()))
        .collect();
    assert_eq!(
        states,
        [(1, "seen begun"), (2, "hidden"), (3, "seen a"), (4, "b")]
    );
    let few = Room { entries: 2, ..ALL };
    let page = store.entries(&ann(), run.run, 1, few).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.cursor).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        store
            .entries(&owner("acme", "bob"), run.run, 0, ALL)
            .await
            .unwrap(),
        []
    );
    let stranger = RunPrincipal {
        subject: "bob".parse().unwrap(),
        ..run.clone()
    };
    let refused = store.append(&stranger, 1, 4, two(), NOW).await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
}

async fn a_turn_ends_once(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let early = store.finish_turn(finish(&run, 7, &["early"])).await;
    assert!(is_lost(&early), "{early:?}");
    for _ in 0..3 {
        assert_eq!(store.finish_turn(finish(&run, 1, &["answer"])).await.unwrap(), 3);
    }
    let otherwise = store
        .finish_turn(Finish {
            state: RunState::Failed,
            ..finish(&run, 1, &[])
        })
        .await;
    assert!(matches!(otherwise, Err(Error::RunEnded)), "{otherwise:?}");
    let late = store.append(&run, 1, 3, vec![entry("late")], NOW).await;
    assert!(matches!(late, Err(Error::RunEnded)), "{late:?}");
    let seen = store.run(&ann(), run.run).await.unwrap();
    assert_eq!(
        (seen.state, seen.finished, seen.cursor),
        (RunState::Finished, Some(NOW), 3)
    );
    assert_eq!(store.session(&ann(), run.session).await.unwrap().turns, 1);
    assert_eq!(expired_now(&*store, NOW.plus(LEASE * 2)).await, []);
}

async fn any_text_is_kept(place: Place) {
    let store = place.open().await;
    let run = run_in(session(&*store).await);
    let odd = "nul \0, \u{1f600}, \u{fffd}, 'quotes\" and \\";
    let asked = Begin {
        client_instructions: odd.to_owned(),
        message: content(&[odd]),
        ..begin(&run, "m1")
    };
    store.begin_turn(asked).await.unwrap();
    let header = store.header(&run).await.unwrap();
    assert_eq!(header.client_instructions, odd);
    assert_eq!(header.message, odd.as_bytes());
    assert_eq!(store.request_cancel(&run, odd).await.unwrap(), RunState::Active);
}

async fn a_deleted_session_is_gone_with_all_that_hung_on_it(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let busy = store.delete_session(&ann(), run.session).await;
    assert!(matches!(busy, Err(Error::SessionBusy)), "{busy:?}");
    let workspace: harombe_types::WorkspaceId = WORKSPACE.parse().unwrap();
    let other = OTHER_WORKSPACE.parse().unwrap();
    let bound = store
        .attach_workspace(&ann(), run.session, workspace)
        .await
        .unwrap();
    assert_eq!(bound, workspace.to_string());
    assert_eq!(
        store.attach_workspace(&ann(), run.session, other).await.unwrap(),
        bound
    );
    store.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    assert_eq!(
        store.delete_session(&ann(), run.session).await.unwrap(),
        Some(bound)
    );
    assert!(matches!(
        store.session(&ann(), run.session).await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        store.run(&ann(), run.run).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(store.entries(&ann(), run.run, 0, ALL).await.unwrap(), []);
}

async fn everything_is_there_after_a_restart(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    store
        .append(&run, 1, 2, vec![entry("seen a")], NOW)
        .await
        .unwrap();
    let before = (
        journal(&*store, &run).await,
        store.run(&ann(), run.run).await.unwrap(),
    );
    store.close().await;
    let store = place.open().await;
    let after = (
        journal(&*store, &run).await,
        store.run(&ann(), run.run).await.unwrap(),
    );
    assert_eq!(after, before);
    store.append(&run, 1, 3, vec![entry("on")], NOW).await.unwrap();
}
