//! Spending grants.

use std::time::Duration;

use harombe_error::Reason;
use harombe_grant::{Signer, Verifier};
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::types::v1::Risk;
use harombe_trail::Kind;
use harombe_types::{Clock as _, ServiceName};

use crate::world::{BROKER, World, details, reason};

#[tokio::test]
async fn a_grant_is_spent_once_and_becomes_a_lease() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.file_list(&run);
    let grant = world.granted(&run, &call).await;
    let lease = world.redeem(BROKER, &grant, &call).await.unwrap();
    let verifier = Verifier::new(world.pki.roots().clone());
    let lease = verifier.lease(&lease, BROKER, world.clock.now()).unwrap();
    assert_eq!(
        (lease.redeemer, lease.run, lease.connections),
        (BROKER, run.run, 0)
    );
    assert_eq!(world.clock.now().until(lease.expires), Duration::from_secs(60));
    assert_eq!(lease.grant, world.verified(&grant, BROKER).id);

    assert_eq!(
        reason(world.redeem(BROKER, &grant, &call).await),
        Reason::GrantRedeemed
    );
    let again = world.granted_or_spent(&run, &call).await;
    assert!(again.is_none());
    assert_eq!(world.sink.of_kind(Kind::GrantRedeemed).len(), 1);
    let [event] = &world.sink.of_kind(Kind::GrantRefused)[..] else {
        panic!("one refusal")
    };
    assert_eq!(
        (event.outcome.as_str(), &details(event)["reason"]),
        ("denied", &"GRANT_REDEEMED".into())
    );
}

#[tokio::test]
async fn two_grants_for_one_call_are_one_permission() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.file_list(&run);
    let (first, second) = (world.granted(&run, &call).await, world.granted(&run, &call).await);
    world.redeem(BROKER, &first, &call).await.unwrap();
    assert_eq!(
        reason(world.redeem(BROKER, &second, &call).await),
        Reason::GrantRedeemed
    );
}

#[tokio::test]
async fn of_many_who_redeem_at_once_one_gets_the_lease() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.file_list(&run);
    let grant = world.granted(&run, &call).await;
    let attempts = (0..16).map(|_| world.redeem(BROKER, &grant, &call));
    let answers = futures_util::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(world.sink.of_kind(Kind::GrantRedeemed).len(), 1);
    assert_eq!(world.sink.of_kind(Kind::GrantRefused).len(), 15);
}

#[tokio::test]
async fn a_spent_call_stays_spent_after_a_restart() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.file_list(&run);
    let grant = world.granted(&run, &call).await;
    world.redeem(BROKER, &grant, &call).await.unwrap();
    let world = world.restarted().await;
    assert_eq!(
        reason(world.redeem(BROKER, &grant, &call).await),
        Reason::GrantRedeemed
    );
    assert!(world.granted_or_spent(&run, &call).await.is_none());
}

#[tokio::test]
async fn a_bad_grant_is_refused_and_recorded() {
    let world = World::new().await;
    let run = world.run("ann");
    let (call, other) = (world.file_list(&run), world.python(&run));
    let grant = world.granted(&run, &call).await;
    let genuine = world.verified(&grant, BROKER);
    let forged = Signer::new(world.pki.identity(ServiceName::Runtime))
        .grant(&genuine)
        .unwrap();
    assert_eq!(
        reason(world.redeem(BROKER, "no grant", &call).await),
        Reason::GrantInvalid
    );
    assert_eq!(
        reason(world.redeem(BROKER, &forged, &call).await),
        Reason::GrantInvalid
    );
    assert_eq!(
        reason(world.redeem(ServiceName::EgressProxy, &grant, &call).await),
        Reason::GrantInvalid
    );
    assert_eq!(
        reason(world.redeem(BROKER, &grant, &other).await),
        Reason::CallMismatch
    );
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(
        reason(world.redeem(BROKER, &grant, &call).await),
        Reason::GrantExpired
    );
    let reasons: Vec<_> = world
        .sink
        .of_kind(Kind::GrantRefused)
        .iter()
        .map(|event| details(event)["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        [
            "GRANT_INVALID",
            "GRANT_INVALID",
            "GRANT_INVALID",
            "CALL_MISMATCH",
            "GRANT_EXPIRED"
        ]
    );
    assert!(world.sink.of_kind(Kind::GrantRedeemed).is_empty());
}

impl World {
    /// A fresh grant, or `None` if the call was spent.
    async fn granted_or_spent(
        &self,
        run: &harombe_types::RunPrincipal,
        call: &harombe_canonical::CanonicalCall,
    ) -> Option<String> {
        let answer = self
            .authorize_bytes(run, call.bytes().to_vec(), Risk::Unspecified)
            .await
            .unwrap();
        match answer.outcome {
            Some(Outcome::Granted(granted)) => Some(granted.grant),
            Some(Outcome::AlreadyRedeemed(_)) => None,
            other => panic!("{other:?}"),
        }
    }
}
