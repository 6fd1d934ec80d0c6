//! Which turns were shown what may be anybody's words, and which sessions have such a turn.

use super::place::{Place, on_each};
use super::*;
use crate::domain::{ClaimedTurn, an_answer};
use crate::store::MemoryStore;

on_each![
    a_session_knows_what_its_turns_saw,
    turns_from_before_are_judged_by_their_messages,
];

async fn saw_outside(store: &dyn Store, session: SessionId) -> bool {
    let nothing = Selection {
        which: Turns::Answered,
        count: 100,
        bytes: 0,
    };
    let page = store.turns(&ann(), session, nothing).await.unwrap();
    assert_eq!(page.turns, [], "all of them are left out");
    page.saw_outside
}

/// Of each turn that is to be remembered, in their order.
async fn told(store: &dyn MemoryStore) -> Vec<Option<bool>> {
    let mut told = Vec::new();
    for run in store.unremembered(100).await.unwrap() {
        told.push(store.said_in(&run).await.unwrap().unwrap().saw_outside);
    }
    told
}

async fn a_session_knows_what_its_turns_saw(place: Place) {
    let (store, memories) = place.both().await;
    let id = session(&*store).await;
    for (number, (saw, expected)) in [(false, false), (true, true), (false, true)]
        .into_iter()
        .enumerate()
    {
        let run = run_in(id);
        store.begin_turn(begin(&run, &number.to_string())).await.unwrap();
        let end = Finish {
            saw_outside: saw,
            ..finish(&run, 1, &["answer"])
        };
        store.finish_turn(end).await.unwrap();
        assert_eq!(saw_outside(&*store, id).await, expected, "{number}");
    }
    assert_eq!(told(&*memories).await, [Some(false), Some(true), Some(false)]);

    // nobody has said it of a turn that memory ends
    let (run, _) = begun(&*store).await;
    let expired = expired_now(&*store, expires()).await;
    let ended = store.end(
        &expired[0],
        RunState::Cancelled,
        vec![entry("seen end")],
        NOW.plus(LEASE),
    );
    assert!(ended.await.unwrap());
    assert_eq!(told(&*memories).await.last(), Some(&None));
    assert!(!saw_outside(&*store, run.session).await);

    let run = run_in(session(&*store).await);
    let claimed = ClaimedTurn {
        body: b"earlier".to_vec(),
        tokens: 1,
        bytes: 7,
    };
    let brought = Begin {
        history: vec![claimed],
        ..begin(&run, "m1")
    };
    store.begin_turn(brought).await.unwrap();
    assert!(
        saw_outside(&*store, run.session).await,
        "claimed turns are anybody's"
    );
}

async fn turns_from_before_are_judged_by_their_messages(place: Place) {
    let (store, memories) = place.both().await;
    let mut runs = Vec::new();
    for is_a_tools in [false, true] {
        let (run, _) = begun(&*store).await;
        let end = Finish {
            messages: Content {
                messages: vec![an_answer(is_a_tools, "\u{8}\u{3}")],
                tokens: 1,
                bytes: 9,
            },
            ..finish(&run, 1, &[])
        };
        store.finish_turn(end).await.unwrap();
        runs.push(run);
    }
    place.migrate_outside().await;
    assert!(!saw_outside(&*store, runs[0].session).await);
    assert!(saw_outside(&*store, runs[1].session).await);
    assert_eq!(told(&*memories).await, [None, None]);
}
