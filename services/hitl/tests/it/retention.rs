//! For how long requests are kept that were decided.

use std::time::Duration;

use harombe_error::Reason;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::types::v1::Decision;
use harombe_trail::Kind;

use crate::world::{BROKER, World, approver, reason};

const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

#[tokio::test]
async fn what_was_decided_long_ago_is_forgotten_and_gives_no_call_away_twice() {
    let world = World::new().await;
    let run = world.run("ann");
    let [spent, unspent, denied] = [(); 3].map(|()| world.python(&run));
    let mut ids = Vec::new();
    for (call, decision) in [
        (&spent, Decision::Approved),
        (&unspent, Decision::Approved),
        (&denied, Decision::Denied),
    ] {
        let id = world.pending(&run, call).await;
        world.decide(&approver(), &id, decision).await.unwrap();
        ids.push(id);
    }
    let grant = world.decision(&run, &ids[0]).await.grant;
    world.redeem(BROKER, &grant, &spent).await.unwrap();
    world.clock.advance(RETENTION);
    assert_eq!(world.list(&approver(), true).await.len(), 3, "not yet");
    world.clock.advance(Duration::from_secs(1));
    // what waits stays, however long: here it is the newest
    let waits = world.pending(&run, &world.python(&run)).await;
    world.until_shown("harombe_hitl_requests_removed_total 3").await;
    let listed = world.list(&approver(), true).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].approval_id, waits);

    // a run that asks again for what it asked for then
    assert_eq!(
        reason(world.await_decision(&run, &ids[1]).await),
        Reason::NotFound
    );
    let again = world.authorize(&run, &spent).await.unwrap();
    assert!(matches!(again.outcome, Some(Outcome::AlreadyRedeemed(_))));
    for (call, id) in [(&unspent, &ids[1]), (&denied, &ids[2])] {
        let asked_anew = world.pending(&run, call).await;
        assert_ne!(asked_anew, *id, "a person decides");
    }
    assert_eq!(world.sink.of_kind(Kind::GrantRedeemed).len(), 1);
}
