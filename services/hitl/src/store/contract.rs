//! The suite that every adapter of the store passes.

use std::time::Duration;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_types::{
    ApprovalId, CallId, EventId, GrantId, Risk, RunId, RunPrincipal, ServiceName, SessionId, SystemClock,
    Timestamp,
};
use serde_json::json;

use super::{Mark, SqliteStore, Store, Which};
use crate::domain::{Approval, Decided, Decision, Redemption};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// A store in a directory of its own, which lives as long as the first value does.
async fn store() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("hitl.db")).await.unwrap();
    (dir, store)
}

fn run(tenant: &str) -> RunPrincipal {
    RunPrincipal {
        tenant: tenant.parse().unwrap(),
        subject: "ann".parse().unwrap(),
        agent: "default".parse().unwrap(),
        session: SessionId::generate(&SystemClock),
        run: RunId::generate(&SystemClock),
    }
}

fn approval(run: &RunPrincipal, code: &str, requested_at: Timestamp) -> Approval {
    let parts = CallParts {
        tenant: run.tenant.as_str(),
        agent: run.agent.as_str(),
        run: &run.run.to_string(),
        call: &CallId::generate(&SystemClock).to_string(),
        tool: "code_execute",
        args: &json!({ "language": "python", "code": code }),
    };
    Approval {
        id: ApprovalId::generate(&SystemClock),
        run: run.clone(),
        call: CanonicalCall::new(parts).unwrap(),
        risk: Risk::High,
        reasons: vec!["Runs code.".to_owned(), "Line\nbreak \"quoted\".".to_owned()],
        policy_version: "v".to_owned(),
        requested_at,
        deadline: requested_at.plus(Duration::from_secs(900)),
        event: EventId::generate(&SystemClock),
        recorded: false,
        decided: None,
    }
}

fn decided(decision: Decision, by: Option<&str>) -> Decided {
    Decided {
        decision,
        by: by.map(|by| by.parse().unwrap()),
        own: true,
        unattended: true,
        comment: "because".to_owned(),
        at: NOW,
        event: EventId::generate(&SystemClock),
        recorded: false,
    }
}

fn redemption(run: &RunPrincipal, call: CallId) -> Redemption {
    Redemption {
        run: run.clone(),
        call,
        tool: "code_execute".to_owned(),
        digest: [7; 32],
        grant: GrantId::generate(&SystemClock),
        redeemer: ServiceName::SandboxBroker,
        policy_version: "v".to_owned(),
        at: NOW,
        event: EventId::generate(&SystemClock),
        recorded: false,
    }
}

fn call_of(approval: &Approval) -> CallId {
    approval.call.call().parse().unwrap()
}

#[tokio::test]
async fn a_request_reads_back_as_it_was_and_a_call_has_one() {
    let (_dir, store) = store().await;
    let first = approval(&run("a"), "print(1)", NOW);
    assert_eq!(store.add_approval(first.clone()).await.unwrap(), first);
    let again = Approval {
        id: ApprovalId::generate(&SystemClock),
        ..first.clone()
    };
    assert_eq!(store.add_approval(again).await.unwrap(), first);
    let (tenant, id) = (first.tenant(), first.id);
    assert_eq!(store.approval(tenant, id).await.unwrap(), Some(first.clone()));
    let found = store
        .approval_of(tenant, first.run_id(), call_of(&first))
        .await
        .unwrap();
    assert_eq!(found, Some(first.clone()));
    let other = "b".parse().unwrap();
    assert_eq!(store.approval(&other, id).await.unwrap(), None);
    assert_eq!(
        store
            .decide(&other, id, decided(Decision::Approved, None))
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.approval(tenant, id).await.unwrap().unwrap().decided, None);
}

#[tokio::test]
async fn the_first_decision_stays() {
    let (_dir, store) = store().await;
    let asked = store.add_approval(approval(&run("a"), "1", NOW)).await.unwrap();
    let yes = decided(Decision::Approved, Some("bob"));
    let no = decided(Decision::Denied, None);
    let kept = store
        .decide(asked.tenant(), asked.id, yes.clone())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.decided, Some(yes.clone()));
    let kept = store.decide(asked.tenant(), asked.id, no).await.unwrap().unwrap();
    assert_eq!(kept.decided, Some(yes));
    assert_eq!(kept.effective(), None);
    store.mark(vec![Mark::Decision(asked.id)]).await.unwrap();
    let kept = store.approval(asked.tenant(), asked.id).await.unwrap().unwrap();
    assert_eq!(
        kept.effective().map(|decided| decided.decision),
        Some(Decision::Approved)
    );
}

#[tokio::test]
async fn lists_are_the_tenants_newest_first_and_limited() {
    let (_dir, store) = store().await;
    let (a, b) = (run("a"), run("b"));
    let mut asked = Vec::new();
    for second in 0..3 {
        let time = NOW.plus(Duration::from_secs(second));
        asked.push(store.add_approval(approval(&a, "1", time)).await.unwrap());
    }
    store.add_approval(approval(&b, "1", NOW)).await.unwrap();
    store
        .decide(&a.tenant, asked[1].id, decided(Decision::Denied, None))
        .await
        .unwrap();
    store.mark(vec![Mark::Decision(asked[1].id)]).await.unwrap();
    let ids = |list: Vec<Approval>| list.into_iter().map(|approval| approval.id).collect::<Vec<_>>();
    let pending = ids(store.approvals(&a.tenant, Which::Pending, 9).await.unwrap());
    assert_eq!(pending, [asked[2].id, asked[0].id]);
    let all = ids(store.approvals(&a.tenant, Which::All, 2).await.unwrap());
    assert_eq!(all, [asked[2].id, asked[1].id]);
}

#[tokio::test]
async fn a_call_is_redeemed_once_however_many_ask() {
    let (_dir, store) = store().await;
    let (run, call) = (run("a"), CallId::generate(&SystemClock));
    let attempts: Vec<_> = (0..16).map(|_| redemption(&run, call)).collect();
    let kept = futures_util::future::join_all(attempts.iter().map(|one| store.redeem(one.clone()))).await;
    let kept: Vec<_> = kept.into_iter().map(Result::unwrap).collect();
    assert!(kept.iter().all(|one| one == &kept[0]));
    assert_eq!(attempts.iter().filter(|one| **one == kept[0]).count(), 1);
    assert_eq!(
        store
            .redemption(&run.tenant, run.run, call)
            .await
            .unwrap()
            .as_ref(),
        Some(&kept[0])
    );
    let other = redemption(&self::run("b"), call);
    assert_eq!(store.redeem(other.clone()).await.unwrap(), other);
}

#[tokio::test]
async fn unfinished_business_is_found_and_ends() {
    let (_dir, store) = store().await;
    let run = run("a");
    let asked = store.add_approval(approval(&run, "1", NOW)).await.unwrap();
    let later = NOW.plus(Duration::from_secs(900));
    assert!(
        store
            .overdue(later.plus(Duration::ZERO), 9)
            .await
            .unwrap()
            .iter()
            .any(|one| one.id == asked.id)
    );
    assert!(store.overdue(NOW, 9).await.unwrap().is_empty());
    assert_eq!(store.unrecorded_approvals(9).await.unwrap().len(), 1);
    store.mark(vec![Mark::Request(asked.id)]).await.unwrap();
    assert!(store.unrecorded_approvals(9).await.unwrap().is_empty());
    store
        .decide(&run.tenant, asked.id, decided(Decision::Denied, None))
        .await
        .unwrap();
    assert!(store.overdue(later, 9).await.unwrap().is_empty());
    assert_eq!(store.unrecorded_approvals(9).await.unwrap().len(), 1);
    store.mark(vec![Mark::Decision(asked.id)]).await.unwrap();
    assert!(store.unrecorded_approvals(9).await.unwrap().is_empty());

    let spent = store
        .redeem(redemption(&run, CallId::generate(&SystemClock)))
        .await
        .unwrap();
    assert!(store.unrecorded_redemptions(NOW, 9).await.unwrap().is_empty());
    assert_eq!(
        store.unrecorded_redemptions(later, 9).await.unwrap(),
        std::slice::from_ref(&spent)
    );
    let mark = Mark::Redemption(spent.run.tenant.clone(), spent.run.run, spent.call);
    store.mark(vec![mark]).await.unwrap();
    assert!(store.unrecorded_redemptions(later, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let (dir, store) = store().await;
    let run = run("a");
    let asked = store.add_approval(approval(&run, "1", NOW)).await.unwrap();
    let spent = store.redeem(redemption(&run, call_of(&asked))).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&dir.path().join("hitl.db")).await.unwrap();
    assert_eq!(
        store.approval(&run.tenant, asked.id).await.unwrap(),
        Some(asked.clone())
    );
    assert_eq!(
        store
            .redemption(&run.tenant, run.run, call_of(&asked))
            .await
            .unwrap(),
        Some(spent)
    );
}
