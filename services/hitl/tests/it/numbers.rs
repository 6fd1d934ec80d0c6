//! What hitl counts.

use std::time::Duration;

use harombe_error::Reason;
use harombe_proto::types::v1::Decision;

use crate::world::{BROKER, World, approver, reason};

/// For what takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

impl World {
    /// Whether the metrics have that line.
    pub(crate) fn shows(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|shown| shown == line)
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
}

#[tokio::test]
async fn requests_decisions_and_grants_are_counted() {
    let world = World::new().await;
    let run = world.run("ann");
    let (call, denied) = (world.python(&run), world.python(&run));
    let id = world.pending(&run, &call).await;
    assert_eq!(world.pending(&run, &call).await, id, "asked again, counted once");
    let other = world.pending(&run, &denied).await;
    let late = world.pending(&run, &world.python(&run)).await;
    world.clock.advance(Duration::from_secs(90));
    world.until_shown("harombe_hitl_requests_pending 3").await;
    world.until_shown("harombe_hitl_oldest_pending_seconds 90").await;
    for _ in 0..2 {
        world.decide(&approver(), &id, Decision::Approved).await.unwrap();
    }
    world.decide(&approver(), &other, Decision::Denied).await.unwrap();
    let grant = world.decision(&run, &id).await.grant;
    world.redeem(BROKER, &grant, &call).await.unwrap();
    for _ in 0..2 {
        let again = world.redeem(BROKER, &grant, &call).await;
        assert_eq!(reason(again), Reason::GrantRedeemed);
    }
    let mismatch = world.redeem(BROKER, &grant, &denied).await;
    assert_eq!(reason(mismatch), Reason::CallMismatch);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.decision(&run, &late).await.decision(), Decision::Expired);
    for line in [
        "harombe_hitl_requests_opened_total{risk=\"high\"} 3",
        "harombe_hitl_requests_decided_total{decision=\"approved\",by=\"program\"} 1",
        "harombe_hitl_requests_decided_total{decision=\"denied\",by=\"program\"} 1",
        "harombe_hitl_requests_decided_total{decision=\"expired\",by=\"deadline\"} 1",
        "harombe_hitl_grants_redeemed_total 1",
        "harombe_hitl_grants_refused_total{why=\"GRANT_REDEEMED\"} 2",
        "harombe_hitl_grants_refused_total{why=\"CALL_MISMATCH\"} 1",
    ] {
        assert!(world.shows(line), "{line}\n{}", world.metrics.encode());
    }
    world.until_shown("harombe_hitl_requests_pending 0").await;
    world.until_shown("harombe_hitl_oldest_pending_seconds 0").await;
}
