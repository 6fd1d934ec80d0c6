//! What memory counts.

use std::time::Duration;

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use tonic::Request;

use crate::rig::{LEASE, Rig, TestRun, answer, entry, refused};

/// For what takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

impl Rig {
    pub(crate) fn shows(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|shown| shown == line)
    }

    #[track_caller]
    fn assert_shows(&self, lines: &[&str]) {
        for line in lines {
            assert!(self.shows(line), "{line}\n{}", self.metrics.encode());
        }
    }

    /// Waits for that line: some are counted in the background.
    pub(crate) async fn until_shown(&self, line: &str) {
        let shown = async {
            while !self.shows(line) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let shown = tokio::time::timeout(PATIENCE, shown).await;
        assert!(shown.is_ok(), "{line}\n{}", self.metrics.encode());
    }

    async fn watch(&self, run: &TestRun) -> tonic::Streaming<pb::WatchResponse> {
        let request = pb::WatchRequest {
            run_id: run.run.to_string(),
            after_cursor: 0,
        };
        let watch = Request::new(request).with_token(self.ann());
        let answered = self.as_gateway().journal.watch(watch).await;
        answered.expect("watch").into_inner()
    }

    async fn renew(&self, run: &TestRun, epoch: u64) {
        let request = pb::RenewLeasesRequest {
            leases: vec![pb::HeldLease {
                tenant: "acme".to_owned(),
                run_id: run.run.to_string(),
                epoch,
            }],
        };
        let renewed = self
            .as_runtime()
            .journal
            .renew_leases(Request::new(request))
            .await;
        answer(renewed).expect("renewed");
    }
}

#[tokio::test]
async fn sessions_turns_entries_and_watchers_are_counted() {
    let rig = Rig::with(|config| {
        config.lease = Duration::from_secs(1).into();
        config.limits.runs_per_subject = 2;
    })
    .await;
    let (session, first, _) = rig.begun().await;
    let (_, second, _) = rig.begun().await;
    rig.until_shown("harombe_memory_runs_active 2").await;
    let third = rig.run_in(rig.new_session().await);
    let refusal = rig.begin(&third, "m1", "hello").await;
    refused(refusal, Code::ResourceExhausted, Reason::LimitExceeded);

    let mut watch = rig.watch(&first).await;
    watch.message().await.expect("event");
    rig.assert_shows(&["harombe_memory_watches 1"]);
    drop(watch);
    rig.until_shown("harombe_memory_watches 0").await;

    rig.append(&first, 1, 1, vec![entry("a"), entry("b")])
        .await
        .expect("append");
    let late = rig.append(&first, 7, 3, vec![entry("c")]).await;
    refused(late, Code::FailedPrecondition, Reason::LeaseLost);
    rig.finish(&first, 1, "done").await.expect("finish");
    let delete = Request::new(pb::DeleteSessionRequest {
        session_id: session.to_string(),
    });
    let mut gateway = rig.as_gateway();
    let deleted = gateway.conversations.delete_session(delete.with_token(rig.ann()));
    answer(deleted.await).expect("deleted");
    rig.renew(&second, 1).await;
    rig.renew(&first, 1).await;
    rig.assert_shows(&[
        "harombe_memory_sessions_total{what=\"created\"} 3",
        "harombe_memory_sessions_total{what=\"deleted\"} 1",
        "harombe_memory_turns_begun_total 2",
        "harombe_memory_turns_refused_total{limit=\"subject\"} 1",
        "harombe_memory_turns_ended_total{outcome=\"finished\",by=\"runtime\"} 1",
        "harombe_memory_journal_entries_total 5",
        "harombe_memory_leases_total{what=\"refused\"} 1",
        "harombe_memory_leases_total{what=\"renewed\"} 1",
        "harombe_memory_leases_total{what=\"ended\"} 1",
    ]);
    rig.until_shown("harombe_memory_runs_active 1").await;
    rig.assert_shows(&["harombe_memory_runs_unclaimed 0"]);
}

#[tokio::test]
async fn runs_that_move_and_runs_that_nobody_can_finish_are_counted() {
    let rig = Rig::with(|config| config.lease = Duration::from_secs(1).into()).await;
    let (_, run, _) = rig.begun().await;
    rig.clock.advance(LEASE);
    rig.until_shown("harombe_memory_runs_unclaimed 1").await;
    let claim = Request::new(pb::ClaimExpiredRequest::default());
    let claimed = answer(rig.as_runtime().journal.claim_expired(claim).await).expect("claimed");
    assert_eq!(claimed.runs.len(), 1);
    rig.renew(&run, 1).await;
    rig.assert_shows(&[
        "harombe_memory_leases_total{what=\"claimed\"} 1",
        "harombe_memory_leases_total{what=\"lost\"} 1",
    ]);
    rig.clock.advance(crate::rig::WALL_LIMIT);
    rig.until_shown("harombe_memory_turns_ended_total{outcome=\"failed\",by=\"memory\"} 1")
        .await;
    rig.until_shown("harombe_memory_runs_active 0").await;
}
