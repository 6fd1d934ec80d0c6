use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_error::{Reason, ServiceError as _};
use harombe_grant::{Signer, Verifier};
use harombe_rpc::{Metrics, TaskSet};
use harombe_testkit::{AuditSink, NOW, TestPki};
use harombe_trail::Kind;
use harombe_types::{ApprovalId, CallId, Clock, EventId, Risk, ServiceName, SystemClock, Timestamp};
use serde_json::json;

use super::Choice;
use crate::domain::risk::{DEFAULT_RULES, HostSet, RuleSet};
use crate::domain::{Approval, Authority, Decision, Parts};
use crate::metrics::Numbers;
use crate::store::{self, Mark};
use crate::{Config, Error};

/// It stands at [`NOW`] until it has been looked at so often, and is then past every deadline.
#[derive(Debug)]
struct Leap(AtomicU32);

impl Clock for Leap {
    fn now(&self) -> Timestamp {
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            NOW
        } else {
            NOW.plus(Duration::from_secs(3600))
        }
    }
}

fn asked() -> Approval {
    let run = harombe_testkit::run("ann", &SystemClock);
    let parts = CallParts {
        tenant: run.tenant.as_str(),
        agent: run.agent.as_str(),
        run: &run.run.to_string(),
        call: &CallId::generate(&SystemClock).to_string(),
        tool: "code_execute",
        args: &json!({ "language": "python", "code": "1" }),
    };
    Approval {
        id: ApprovalId::generate(&SystemClock),
        call: CanonicalCall::new(parts).unwrap(),
        run,
        risk: Risk::High,
        reasons: Vec::new(),
        policy_version: "v".to_owned(),
        requested_at: NOW,
        deadline: NOW.plus(Duration::from_secs(900)),
        event: EventId::generate(&SystemClock),
        recorded: false,
        decided: None,
    }
}

/// A place of its own where bob says yes to ann's call, by `clock`; what he is told, and what is kept.
async fn decided_by(clock: Leap) -> (Result<Approval, Error>, Approval, String) {
    let steady = harombe_testkit::clock();
    let pki = TestPki::new(steady.clone());
    let sink = AuditSink::new(&pki, steady.clone());
    let (dir, tasks) = (tempfile::tempdir().unwrap(), TaskSet::new());
    let config = Config::default();
    let store = store::open(&config.store, dir.path()).await.unwrap().store;
    let authority = Authority::new(Parts {
        store: Arc::clone(&store),
        peers: None,
        rules: RuleSet::compile(&[("default.toml", DEFAULT_RULES)], HostSet::default()).unwrap(),
        limits: (&config.limits).into(),
        pending: (&config.limits).into(),
        retention: config.retention.as_duration(),
        signer: Signer::new(pki.identity(ServiceName::Hitl)),
        verifier: Verifier::new(pki.roots().clone()),
        trail: sink.trail(ServiceName::Hitl, steady, &tasks),
        clock: Arc::new(clock),
        numbers: Numbers::new(&Metrics::new()),
        marks: tokio::sync::mpsc::channel(1).0,
    });
    let asked = asked();
    store
        .add_approval(asked.clone(), (&config.limits).into())
        .await
        .unwrap();
    store.mark(vec![Mark::Request(asked.id)]).await.unwrap();
    let yes = Choice {
        approve: true,
        unattended: false,
        comment: String::new(),
    };
    let bob = harombe_testkit::person("bob");
    let answer = authority.decide(&bob, asked.id, yes).await;
    let kept = store.approval(asked.tenant(), asked.id).await.unwrap().unwrap();
    (
        answer,
        kept,
        sink.of_kind(Kind::ApprovalDecided).remove(0).outcome,
    )
}

/// Whichever look at the clock is the first after the deadline: only if none is, the yes counts.
#[tokio::test]
async fn a_yes_for_which_the_deadline_passes_on_the_way_to_the_store_is_refused() {
    let mut refused = 0;
    loop {
        let (answer, kept, recorded) = decided_by(Leap(AtomicU32::new(refused))).await;
        let decided = kept.effective().unwrap();
        let Err(error) = answer else {
            assert!(
                decided.at < kept.deadline && refused > 1,
                "{refused} looks in time"
            );
            assert_eq!((decided.decision, recorded.as_str()), (Decision::Approved, "ok"));
            return;
        };
        assert_eq!(error.reason(), Reason::ApprovalExpired);
        assert_eq!((decided.decision, &decided.by), (Decision::Expired, &None));
        assert_eq!(recorded, "expired");
        refused += 1;
    }
}
