//! Who may drive a run, and until when.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::StopReason;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{RunId, SessionId, SystemClock};
use tonic::Request;

use crate::rig::{LEASE, Rig, TestRun, WALL_LIMIT, answer, entry, refused};

async fn claim(rig: &Rig) -> Vec<pb::ClaimedRun> {
    let request = Request::new(pb::ClaimExpiredRequest { limit: 0 });
    answer(rig.as_runtime().journal.claim_expired(request).await)
        .expect("claim")
        .runs
}

/// What became of each lease, and how long those last that are held.
async fn renew_all(rig: &Rig, leases: Vec<pb::HeldLease>) -> Result<pb::RenewLeasesResponse, Failure> {
    let request = Request::new(pb::RenewLeasesRequest { leases });
    answer(rig.as_runtime().journal.renew_leases(request).await)
}

fn held(run: &TestRun, epoch: u64) -> pb::HeldLease {
    pb::HeldLease {
        tenant: "acme".to_owned(),
        run_id: run.run.to_string(),
        epoch,
    }
}

pub(crate) async fn renew(rig: &Rig, run: &TestRun, epoch: u64) -> pb::RenewedLease {
    let mut renewed = renew_all(rig, vec![held(run, epoch)]).await.expect("renewal");
    renewed.leases.pop().expect("answer")
}

async fn cancel(rig: &Rig, run: &TestRun) -> pb::RunState {
    let request = run.request(pb::RequestCancelRequest {
        reason: "changed my mind".into(),
    });
    answer(rig.as_runtime().journal.request_cancel(request).await)
        .expect("cancel")
        .state()
}

async fn acquire(rig: &Rig, run: &TestRun) -> Result<pb::AcquireLeaseResponse, Failure> {
    answer(
        rig.as_runtime()
            .journal
            .acquire_lease(run.request(pb::AcquireLeaseRequest {}))
            .await,
    )
}

#[tokio::test]
async fn an_expired_run_is_claimed_once_and_its_old_driver_is_fenced() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let old = begun.lease.expect("lease").epoch;
    rig.clock.advance(LEASE - Duration::from_millis(1));
    assert!(claim(&rig).await.is_empty());
    rig.clock.advance(Duration::from_millis(1));
    let claimed = claim(&rig).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].run_id, run.run.to_string());
    assert_eq!(claimed[0].run_token, run.token.as_str());
    assert_eq!(claimed[0].cursor, 1);
    let new = claimed[0].lease.as_ref().expect("lease").epoch;
    assert!(new > old);
    assert!(claim(&rig).await.is_empty());

    refused(
        rig.append(&run, old, 1, vec![entry("late")]).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    refused(
        rig.finish(&run, old, "late").await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    assert_eq!(renew(&rig, &run, old).await.renewal(), pb::Renewal::Lost);
    rig.append(&run, new, 1, vec![entry("on")]).await.expect("append");
    rig.finish(&run, new, "done").await.expect("finish");
    rig.clock.advance(LEASE);
    assert!(claim(&rig).await.is_empty(), "a run that has ended is nobody's");
}

#[tokio::test]
async fn a_renewed_lease_is_kept() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    for _ in 0..5 {
        rig.clock.advance(LEASE / 2);
        let renewed = renew(&rig, &run, epoch).await;
        assert_eq!(renewed.renewal(), pb::Renewal::Held);
        assert!(!renewed.cancel_requested);
        assert!(claim(&rig).await.is_empty());
    }
    // nobody took it, so it is still the holder's
    rig.clock.advance(LEASE * 2);
    assert_eq!(renew(&rig, &run, epoch).await.renewal(), pb::Renewal::Held);
    assert!(claim(&rig).await.is_empty());
}

#[tokio::test]
async fn a_lease_is_acquired_when_the_last_one_has_expired() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let old = begun.lease.expect("lease").epoch;
    refused(
        acquire(&rig, &run).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    rig.clock.advance(LEASE);
    let acquired = acquire(&rig, &run).await.expect("lease");
    let new = acquired.lease.expect("lease").epoch;
    assert!(new > old && acquired.cursor == 1);
    rig.finish(&run, new, "done").await.expect("finish");
    refused(
        acquire(&rig, &run).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    let unknown = rig.run_in(rig.new_session().await);
    refused(acquire(&rig, &unknown).await, Code::NotFound, Reason::NotFound);
}

#[tokio::test]
async fn a_lease_that_is_given_up_can_be_claimed_at_once() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let old = begun.lease.expect("lease").epoch;
    let release = async |epoch| {
        let request = run.request(pb::ReleaseLeaseRequest { epoch });
        answer(rig.as_runtime().journal.release_lease(request).await)
    };
    refused(
        release(old + 1).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    assert!(
        claim(&rig).await.is_empty(),
        "another's word does not end a lease"
    );
    release(old).await.expect("released");
    release(old).await.expect("released again");
    let claimed = claim(&rig).await;
    assert_eq!(claimed.len(), 1);
    let new = claimed[0].lease.as_ref().expect("lease").epoch;
    refused(release(old).await, Code::FailedPrecondition, Reason::LeaseLost);
    rig.finish(&run, new, "done").await.expect("finish");
}

#[tokio::test]
async fn many_claimers_share_the_runs() {
    let rig = Rig::new().await;
    for _ in 0..8 {
        rig.begun().await;
    }
    rig.clock.advance(LEASE);
    let claims = futures_util::future::join_all((0..4).map(|_| claim(&rig))).await;
    let mut claimed: Vec<String> = claims.into_iter().flatten().map(|run| run.run_id).collect();
    assert_eq!(claimed.len(), 8);
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), 8);
}

#[tokio::test]
async fn a_run_is_handed_over_as_long_as_its_token_is_valid() {
    let rig = Rig::new().await;
    let (_, run, _) = rig.begun().await;
    rig.clock.advance(WALL_LIMIT - Duration::from_secs(1));
    let claimed = claim(&rig).await;
    assert_eq!(claimed.len(), 1, "runtime ends it, and puts its end into the log");
    let epoch = claimed[0].lease.as_ref().expect("lease").epoch;
    assert_eq!(
        rig.get_run(run.run).await.expect("run").state(),
        pb::RunState::Active
    );
    rig.finish(&run, epoch, "too late").await.expect("finish");
}

#[tokio::test]
async fn a_run_past_its_wall_limit_is_ended_not_handed_over() {
    let rig = Rig::new().await;
    let (session, run, _) = rig.begun().await;
    rig.clock.advance(WALL_LIMIT + LEASE);
    assert!(claim(&rig).await.is_empty());
    let ended = rig.get_run(run.run).await.expect("run");
    assert_eq!((ended.state(), ended.cursor), (pb::RunState::Failed, 2));
    let events = crate::journal::watched(&rig, run.run, 1).await;
    match events.as_slice() {
        [event] => match &event.event {
            Some(Event::RunFailed(failed)) => assert_eq!(failed.reason, "TIME_LIMIT"),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let next = rig.run_in(session);
    rig.begin(&next, "m2", "again")
        .await
        .expect("the session is free");
}

#[tokio::test]
async fn a_cancel_reaches_the_driver() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    assert_eq!(cancel(&rig, &run).await, pb::RunState::Active);
    assert!(renew(&rig, &run, epoch).await.cancel_requested);
    assert!(
        rig.append(&run, epoch, 1, vec![entry("x")])
            .await
            .expect("append")
            .cancel_requested
    );
    let request = pb::FinishTurnRequest {
        epoch,
        state: pb::RunState::Cancelled.into(),
        ..Default::default()
    };
    answer(
        rig.as_runtime()
            .conversations
            .finish_turn(run.request(request))
            .await,
    )
    .expect("finish");
    assert_eq!(cancel(&rig, &run).await, pb::RunState::Cancelled);
}

#[tokio::test]
async fn leases_are_durations() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let expected = prost_types::Duration::try_from(LEASE).ok();
    let lease = begun.lease.expect("lease");
    assert_eq!(lease.ttl, expected);
    let renewed = renew_all(&rig, vec![held(&run, lease.epoch)])
        .await
        .expect("renewal");
    assert_eq!(renewed.ttl, expected);
    rig.clock.advance(LEASE);
    let request = Request::new(pb::ClaimExpiredRequest { limit: 0 });
    let claimed = answer(rig.as_runtime().journal.claim_expired(request).await).expect("claim");
    assert_eq!(claimed.time, Some(rig.now().into()), "so that a node can compare");
    assert_eq!(claimed.runs[0].lease.as_ref().expect("lease").ttl, expected);
}

#[tokio::test]
async fn a_batch_of_renewals_has_a_bound_and_must_make_sense() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let lease = held(&run, begun.lease.expect("lease").epoch);
    let nobody = pb::HeldLease {
        run_id: RunId::generate(&SystemClock).to_string(),
        ..lease.clone()
    };
    let full: Vec<_> = std::iter::repeat_n(nobody, 511).chain([lease.clone()]).collect();
    let renewed = renew_all(&rig, full.clone()).await.expect("renewals");
    assert_eq!(renewed.leases.len(), 512);
    assert_eq!(renewed.leases[511].renewal(), pb::Renewal::Held);
    assert_eq!(renewed.leases[0].renewal(), pb::Renewal::Ended);
    let nameless = pb::HeldLease {
        tenant: String::new(),
        ..lease.clone()
    };
    let too_many = full.into_iter().chain([lease]).collect();
    for bad in [Vec::new(), too_many, vec![nameless]] {
        refused(
            renew_all(&rig, bad).await,
            Code::InvalidArgument,
            Reason::InvalidArgument,
        );
    }
}

#[tokio::test]
async fn whoever_claims_a_cancelled_run_is_told_so() {
    let rig = Rig::new().await;
    let (_, run, _) = rig.begun().await;
    cancel(&rig, &run).await;
    rig.clock.advance(LEASE);
    let claimed = claim(&rig).await;
    assert!(claimed[0].cancel_requested);
}

#[tokio::test]
async fn a_cancelled_run_that_no_node_can_have_is_ended_as_cancelled() {
    let rig = Rig::new().await;
    let (session, run, _) = rig.begun().await;
    cancel(&rig, &run).await;
    rig.clock.advance(WALL_LIMIT + LEASE);
    assert!(claim(&rig).await.is_empty());
    assert_cancelled(&rig, session, &run).await;
}

#[tokio::test]
async fn a_cancelled_run_without_a_node_ends_by_itself() {
    let rig = Rig::new().await;
    let (session, run, _) = rig.begun().await;
    cancel(&rig, &run).await;
    // a sweep comes to this one after the other, and ends it
    let overdue = rig.run_for(
        LEASE,
        "acme",
        "ann",
        rig.new_session().await,
        RunId::generate(&SystemClock),
    );
    rig.begin(&overdue, "m1", "hello").await.expect("turn");
    rig.clock.advance(LEASE + LEASE / 2);
    // a sweep is the first thing that the service does
    let rig = rig.restart().await;
    assert_eq!(crate::journal::watched(&rig, overdue.run, 1).await.len(), 1);
    let seen = rig.get_run(run.run).await.expect("run");
    assert_eq!(
        seen.state(),
        pb::RunState::Active,
        "a node may still put its end on record"
    );
    rig.clock.advance(LEASE / 2);
    let rig = rig.restart().await;
    assert_eq!(crate::journal::watched(&rig, run.run, 1).await.len(), 1);
    assert_cancelled(&rig, session, &run).await;
}

async fn assert_cancelled(rig: &Rig, session: SessionId, run: &TestRun) {
    let ended = rig.get_run(run.run).await.expect("run");
    assert_eq!((ended.state(), ended.cursor), (pb::RunState::Cancelled, 2));
    let events = crate::journal::watched(rig, run.run, 1).await;
    match events.as_slice() {
        [event] => match &event.event {
            Some(Event::RunFinished(finished)) => {
                assert_eq!(finished.stop_reason(), StopReason::Cancelled);
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    let next = rig.run_in(session);
    rig.begin(&next, "m2", "again")
        .await
        .expect("the session is free");
}
