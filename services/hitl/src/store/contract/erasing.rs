//! What is kept of one person, and that it is gone when it is erased.

use super::*;
use harombe_testkit::holding;

use crate::domain::Kept;

on_each![
    what_is_kept_of_a_person_is_found_in_parts,
    what_is_erased_is_the_persons_and_nothing_else,
    a_decision_about_what_was_erased_changes_nothing,
    two_who_erase_at_once_erase_each_request_once,
];

fn of(tenant: &str, subject: &str) -> RunPrincipal {
    RunPrincipal {
        subject: subject.parse().unwrap(),
        ..run(tenant)
    }
}

/// The requests of the runs, with their events in the log as far as there are any.
async fn ask(store: &dyn Store, run: &RunPrincipal, count: usize) -> Vec<Approval> {
    let mut asked = Vec::new();
    for _ in 0..count {
        asked.push(add(store, approval(run, "1", NOW)).await);
    }
    asked.sort_by_key(|approval| approval.id);
    asked
}

fn ids(asked: &[Approval]) -> Vec<ApprovalId> {
    asked.iter().map(|approval| approval.id).collect()
}

async fn kept(store: &dyn Store, run: &RunPrincipal) -> Vec<ApprovalId> {
    let kept = store.requests_of(&run.tenant, &run.subject, None, 100).await;
    kept.unwrap().into_iter().map(|kept| kept.id).collect()
}

async fn what_is_kept_of_a_person_is_found_in_parts(place: Place) {
    let store = place.open().await;
    let ann = of("a", "ann");
    let asked = ask(&*store, &ann, 5).await;
    for other in [of("a", "eve"), of("b", "ann")] {
        ask(&*store, &other, 2).await;
    }
    let no = decided(Decision::Denied, Some("bob"));
    let (both, first, second) = (asked[0].id, asked[1].id, asked[2].id);
    for id in [both, first, second] {
        store.decide(&ann.tenant, id, no.clone(), &clock()).await.unwrap();
    }
    let marks = vec![
        Mark::Request(both),
        Mark::Decision(both),
        Mark::Request(first),
        Mark::Decision(second),
        Mark::Request(asked[3].id),
    ];
    store.mark(marks).await.unwrap();
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let part = store
            .requests_of(&ann.tenant, &ann.subject, after, 2)
            .await
            .unwrap();
        let Some(last) = part.last() else { break };
        assert!(part.len() <= 2);
        after = Some(last.id);
        found.extend(part);
    }
    // only the first is decided and wholly in the log
    let expected: Vec<_> = ids(&asked)
        .into_iter()
        .map(|id| Kept {
            id,
            ended: id == both,
        })
        .collect();
    assert_eq!(found, expected);
}

async fn what_is_erased_is_the_persons_and_nothing_else(place: Place) {
    let store = place.open().await;
    let (ann, eve, elsewhere) = (of("a", "ann"), of("a", "eve"), of("b", "ann"));
    let mut all = Vec::new();
    for run in [&ann, &eve, &elsewhere] {
        all.push(ids(&ask(&*store, run, 6).await));
    }
    let [anns, eves, theirs] = &all[..] else {
        panic!("three")
    };
    let spent = ask(&*store, &ann, 1).await.remove(0);
    let redeemed = redemption(&ann, call_of(&spent));
    store.redeem(redeemed.clone()).await.unwrap();

    // whatever ids are named
    let named: Vec<_> = [&anns[..5], &eves[..1], &theirs[..1]].concat();
    let erase = async |ids: &[ApprovalId]| store.erase_requests(&ann.tenant, &ann.subject, ids).await;
    assert_eq!(erase(&named).await.unwrap(), 5);
    assert_eq!(erase(&named).await.unwrap(), 0);
    assert_eq!(kept(&*store, &ann).await, [anns[5], spent.id]);
    assert_eq!(kept(&*store, &eve).await, *eves);
    assert_eq!(kept(&*store, &elsewhere).await, *theirs);
    assert_eq!(erase(&[anns[5], spent.id]).await.unwrap(), 2);
    store.finish_erasing().await;
    assert_eq!(store.waiting().await.unwrap(), (0, None), "none was made known");

    store.close().await;
    let store = place.open().await;
    assert_eq!(kept(&*store, &ann).await, []);
    assert_eq!(kept(&*store, &eve).await, *eves);
    let found = store.redemption(&ann.tenant, ann.run, redeemed.call).await;
    assert_eq!(found.unwrap(), Some(redeemed));
}

async fn a_decision_about_what_was_erased_changes_nothing(place: Place) {
    let store = place.open().await;
    let run = of("a", "ann");
    let asked = ask(&*store, &run, 1).await.remove(0);
    store
        .erase_requests(&run.tenant, &run.subject, &[asked.id])
        .await
        .unwrap();
    let yes = decided(Decision::Approved, Some("bob"));
    let kept = store.decide(&run.tenant, asked.id, yes, &clock()).await;
    assert_eq!(kept.unwrap(), None);
    let marks = vec![Mark::Request(asked.id), Mark::Decision(asked.id)];
    store.mark(marks).await.unwrap();
    assert_eq!(store.approval(&run.tenant, asked.id).await.unwrap(), None);
    assert_eq!(store.unrecorded_approvals(None, 9).await.unwrap(), []);
}

async fn two_who_erase_at_once_erase_each_request_once(place: Place) {
    let replicas = place.replicas().await;
    let run = of("a", "ann");
    let asked = ids(&ask(&*replicas[0], &run, 24).await);
    let parts = [
        asked.clone(),
        asked.iter().rev().copied().collect(),
        asked.clone(),
    ];
    let erased = all(&replicas, &parts, async |store, part| {
        store
            .erase_requests(&run.tenant, &run.subject, &part)
            .await
            .unwrap()
    })
    .await;
    assert_eq!(erased.iter().sum::<u64>(), 24, "{erased:?}");
    assert_eq!(kept(&*replicas[0], &run).await, []);
}

fn holds(place: &Place, text: &str) -> bool {
    !holding(&place.data, text).is_empty()
}

#[tokio::test]
async fn nothing_of_what_was_erased_is_in_the_files() {
    let place = Place::sqlite();
    let store = place.open().await;
    let (ann, eve) = (of("a", "ann-the-erased"), of("a", "eve-who-stays"));
    let words = [
        "anns-short-call",
        "anns-long-call",
        "why-it-was-denied",
        "anns-reason",
    ];
    let long = format!("{}anns-long-call", "x".repeat(100_000));
    let mut asked = Vec::new();
    for code in ["anns-short-call", &long] {
        let mut one = approval(&ann, code, NOW);
        one.reasons = vec!["anns-reason".to_owned()];
        asked.push(add(&*store, one).await.id);
    }
    add(&*store, approval(&eve, "eves-call", NOW)).await;
    let mut no = decided(Decision::Denied, Some("bob"));
    no.comment = "why-it-was-denied".to_owned();
    store.decide(&ann.tenant, asked[0], no, &clock()).await.unwrap();
    for word in words {
        assert!(holds(&place, word), "{word}");
    }
    // somebody reads for a while, so that the log cannot be emptied at once
    let mut reader = sqlx::SqliteConnection::connect(&format!("sqlite:{}/hitl.db", place.data.display()))
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM approvals")
        .execute(&mut reader)
        .await
        .unwrap();
    let erased = store.erase_requests(&ann.tenant, &ann.subject, &asked).await;
    assert_eq!(erased.unwrap(), 2);
    reader.close().await.unwrap();
    store.finish_erasing().await;
    for word in words.into_iter().chain(["ann-the-erased"]) {
        assert!(!holds(&place, word), "{word}");
    }
    assert!(holds(&place, "eves-call") && holds(&place, "eve-who-stays"));
}
