//! By what right a tunnel opens: the grant, the call, the lease, and who shows them.

use super::*;

#[tokio::test]
async fn a_grant_that_does_not_fit_is_refused() {
    let world = World::new(HELLO).await;
    let call = world.call(&json!({ "url": URL }));
    let other = world.call(&json!({ "url": URL }));
    let expired = world.grant(&call, |grant| {
        grant.expires = grant.not_before.plus(std::time::Duration::from_secs(1));
    });
    let brokers = world.grant(&world.call_of("code_execute", &json!({})), |grant| {
        grant.audience = ServiceName::SandboxBroker;
    });
    let foreign = world.grant(&call, |grant| grant.run = RunId::generate(&*world.clock));
    world.clock.advance(std::time::Duration::from_secs(2));
    for (grant, reason) in [
        ("", Reason::GrantInvalid),
        ("a.b.c", Reason::GrantInvalid),
        (brokers.as_str(), Reason::GrantInvalid),
        (expired.as_str(), Reason::GrantExpired),
        (world.grant(&other, |_| ()).as_str(), Reason::CallMismatch),
        (foreign.as_str(), Reason::CallMismatch),
    ] {
        let answer = world.send(vec![open(grant, &call), data(GET)]).await;
        assert_eq!(answer.reason(), reason);
    }
    assert_eq!((world.hitl.redeemed(), world.dialled()), (0, 0));
    assert_eq!(
        refusals(&world),
        [
            "GRANT_INVALID",
            "GRANT_INVALID",
            "GRANT_INVALID",
            "GRANT_EXPIRED",
            "CALL_MISMATCH",
            "CALL_MISMATCH"
        ]
    );
    let event = world.audit.of_kind(Kind::GrantRefused).remove(0);
    assert_eq!(
        (event.outcome.as_str(), event.run_id, event.subject.as_str()),
        ("denied", world.run.run.to_string(), "ann")
    );
    world.audit.fail(Fault::Rejects(Kind::GrantRefused));
    let answer = world.send(vec![open("a.b.c", &call), data(GET)]).await;
    assert_eq!(
        answer.reason(),
        Reason::GrantInvalid,
        "for its own reason, recorded or not"
    );
}

/// The reasons of the refused permissions that are in the log, in order.
fn refusals(world: &World) -> Vec<String> {
    let events = world.audit.of_kind(Kind::GrantRefused);
    let reason = |event| details(event)["reason"].as_str().map(str::to_owned);
    events.iter().filter_map(reason).collect()
}

#[tokio::test]
async fn a_call_that_is_not_the_runs_or_not_a_fetch_is_refused() {
    let mut world = World::new(HELLO).await;
    let search = world.call_of("web_search", &json!({ "url": URL }));
    let odd = world.call(&json!({ "url": URL, "body": "x" }));
    for (call, reason) in [(&search, Reason::CallInvalid), (&odd, Reason::CallInvalid)] {
        let answer = world
            .send(vec![open(&world.grant(call, |_| ()), call), data(GET)])
            .await;
        assert_eq!(answer.reason(), reason);
    }
    let call = world.call(&json!({ "url": URL }));
    let grant = world.grant(&call, |_| ());
    let mut bytes = open(&grant, &call);
    if let Some(harombe_proto::egress::v1::tunnel_request::Frame::Open(open)) = &mut bytes.frame {
        open.call = [open.call.as_ref(), b" "].concat().into();
    }
    assert_eq!(
        world.send(vec![bytes]).await.reason(),
        Reason::CallInvalid,
        "not the canonical bytes"
    );
    world.run.run = RunId::generate(&*world.clock);
    assert_eq!(
        world.send(vec![open(&grant, &call), data(GET)]).await.reason(),
        Reason::CallMismatch
    );
    assert_eq!((world.hitl.redeemed(), world.dialled()), (0, 0));
    assert_eq!(refusals(&world), ["CALL_MISMATCH"], "another run's call");
}

#[tokio::test]
async fn a_grant_is_spent_once() {
    let world = World::new(HELLO).await;
    let call = world.call(&json!({ "url": URL }));
    let grant = world.grant(&call, |_| ());
    assert_eq!(world.send(vec![open(&grant, &call), data(GET)]).await.end, Ok(()));
    let again = world.send(vec![open(&grant, &call), data(GET)]).await;
    assert_eq!(again.reason(), Reason::GrantRedeemed);
    assert_eq!(world.dialled(), 1);
}

#[tokio::test]
async fn without_hitl_nothing_is_done() {
    let world = World::new(HELLO).await;
    world.hitl.fail(Code::Unavailable, Reason::Unavailable);
    assert_eq!(world.fetch().await.reason(), Reason::HitlUnavailable);
    world.hitl.fail(Code::Unavailable, Reason::AuditUnavailable);
    assert_eq!(
        world.fetch().await.reason(),
        Reason::AuditUnavailable,
        "hitl's own reason is passed on"
    );
    assert_eq!(world.dialled(), 0);
}

#[tokio::test]
async fn a_lease_must_continue_the_grant() {
    let world = World::new(HELLO).await;
    let clock = world.clock.clone();
    world
        .hitl
        .lease(move |lease| lease.run = RunId::generate(&*clock));
    assert_eq!(world.fetch().await.reason(), Reason::GrantInvalid);
    world.hitl.lease(|lease| lease.connections = 0);
    assert_eq!(world.fetch().await.reason(), Reason::GrantInvalid);
    world
        .hitl
        .lease(|lease| lease.destinations = vec!["attacker.test:443".to_owned()]);
    assert_eq!(world.fetch().await.reason(), Reason::GrantInvalid);
    world
        .hitl
        .lease(|lease| lease.redeemer = ServiceName::SandboxBroker);
    assert_eq!(world.fetch().await.reason(), Reason::GrantInvalid);
    world.hitl.lease(|lease| lease.destinations = Vec::new());
    assert_eq!(
        world.fetch().await.reason(),
        Reason::GrantInvalid,
        "no destination is none, not any"
    );
    assert_eq!(world.dialled(), 0);
    assert_eq!(refusals(&world), vec!["GRANT_INVALID"; 5]);
    let clock = world.clock.clone();
    world.hitl.lease(move |lease| {
        lease.id = LeaseId::generate(&*clock);
        lease.destinations = vec!["API.allowed.test.:443".to_owned()];
    });
    assert_eq!(
        world.fetch().await.end,
        Ok(()),
        "the same destination in another spelling"
    );
}

#[tokio::test]
async fn nobody_but_runtime_for_a_run_may_open_a_tunnel() {
    let world = World::new(HELLO).await;
    let call = world.call(&json!({ "url": URL }));
    let frames = vec![open(&world.grant(&call, |_| ()), &call), data(GET)];
    let token = world.pki.run_token(&world.run);
    for caller in ServiceName::SERVICES
        .into_iter()
        .filter(|service| *service != ServiceName::Runtime)
    {
        let request = Request::new(tokio_stream::iter(frames.clone())).with_token(&token);
        let status = world.client(caller).tunnel(request).await.expect_err("refused");
        assert_eq!(
            harombe_error::Failure::from(status).reason,
            Reason::NotAllowed,
            "{caller:?}"
        );
    }
    let channel = GrpcChannel::local(world.service.server(), ServiceName::Runtime);
    let bare = EgressServiceClient::new(channel)
        .tunnel(tokio_stream::iter(frames))
        .await;
    assert_eq!(
        harombe_error::Failure::from(bare.expect_err("no token")).reason,
        Reason::Unauthenticated
    );
    assert_eq!((world.hitl.redeemed(), world.dialled()), (0, 0));
}
