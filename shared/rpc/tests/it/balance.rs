//! A channel to several instances: spread, turned away from those that do not want calls, and back again.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::hitl::v1::DecideRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_rpc::{Balanced, GrpcChannel, RequestExt as _, TlsError};
use harombe_testkit::loopback;
use harombe_types::ServiceName;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::stranger::FOR_EVER;
use crate::toy::{Act, reached};
use crate::world::{NAME, World};

fn balanced(worlds: &[&World], caller: ServiceName) -> GrpcChannel {
    let targets = worlds.iter().map(|world| world.address.unwrap().to_string());
    GrpcChannel::balanced(&Balanced {
        targets: targets.collect(),
        identity: worlds[0].pki.issue(caller, &*worlds[0].clock).unwrap(),
        server: NAME,
        resolve_every: Duration::from_secs(30),
    })
    .unwrap()
}

async fn check(world: &World, channel: &GrpcChannel) -> Result<(), Failure> {
    let request = Request::new(CheckRequest::default()).with_token(world.run_token());
    EgressServiceClient::new(channel.clone())
        .check(request)
        .await
        .map(drop)
        .map_err(Failure::from)
}

/// Calls until both have been called: instances are found one after the other.
async fn until_both(channel: &GrpcChannel, one: &World, two: &World) {
    let (first, second) = (one.toy.begun(), two.toy.begun());
    let calling = async {
        while one.toy.begun() == first || two.toy.begun() == second {
            check(one, channel).await.unwrap();
        }
    };
    tokio::time::timeout(FOR_EVER, calling)
        .await
        .expect("one of them is never called");
}

/// Calls until `away` gets none of ten.
async fn until_only(channel: &GrpcChannel, here: &World, away: &World) {
    let calling = async {
        loop {
            let before = away.toy.begun();
            for _ in 0..10 {
                check(here, channel).await.unwrap();
            }
            if away.toy.begun() == before {
                return;
            }
        }
    };
    tokio::time::timeout(FOR_EVER, calling)
        .await
        .expect("it is still called");
}

async fn pair() -> (World, World) {
    let one = World::over_tls().await;
    let two = World::over_tls_like(&one).await;
    (one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_round() {
    let (one, two) = pair().await;
    let channel = balanced(&[&one, &two], ServiceName::Runtime);
    until_both(&channel, &one, &two).await;
    let (first, second) = (one.toy.begun(), two.toy.begun());
    for _ in 0..20 {
        check(&one, &channel).await.unwrap();
    }
    assert_eq!((one.toy.begun() - first, two.toy.begun() - second), (10, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_wants_no_calls_gets_none_until_it_does() {
    let (one, two) = pair().await;
    let channel = balanced(&[&one, &two], ServiceName::Runtime);
    until_both(&channel, &one, &two).await;
    one.server.set_serving(false);
    until_only(&channel, &two, &one).await;
    one.server.set_serving(true);
    until_both(&channel, &one, &two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_stops_is_left_before_a_call_fails() {
    let (one, two) = pair().await;
    let channel = balanced(&[&one, &two], ServiceName::Runtime);
    until_both(&channel, &one, &two).await;
    // One call is on its way while the instance drains; it is answered.
    one.toy.then(Act::Wait);
    two.toy.then(Act::Wait);
    let (first, second) = (one.toy.begun(), two.toy.begun());
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let (channel, token) = (channel.clone(), one.run_token());
            tokio::spawn(async move {
                let request = Request::new(CheckRequest::default()).with_token(token);
                EgressServiceClient::new(channel).check(request).await
            })
        })
        .collect();
    reached(&one.toy.seen.begun, first + 1).await;
    reached(&two.toy.seen.begun, second + 1).await;
    one.server.set_serving(false);
    one.toy.gate.add_permits(1);
    two.toy.gate.add_permits(1);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    until_only(&channel, &two, &one).await;
    one.stop.cancel();
    for _ in 0..20 {
        check(&two, &channel).await.unwrap();
    }
}

/// The instance's runtime goes away with its sockets, as in a crash.
#[test]
fn a_call_that_may_be_repeated_survives_an_instance_that_dies() {
    let dying = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let living = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let one = dying.block_on(World::over_tls());
    living.block_on(async {
        let two = World::over_tls_like(&one).await;
        let channel = balanced(&[&one, &two], ServiceName::Gateway);
        let decide = async || {
            let request = Request::new(DecideRequest::default()).with_token(one.approver());
            ApprovalServiceClient::new(channel.clone()).decide(request).await
        };
        let both = async {
            while one.toy.begun() == 0 || two.toy.begun() == 0 {
                decide().await.unwrap();
            }
        };
        tokio::time::timeout(FOR_EVER, both).await.unwrap();
        dying.shutdown_background();
        for _ in 0..20 {
            decide().await.unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_comes_later_is_waited_for() {
    let world = World::in_process();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let world = World {
        address: Some(address),
        ..world
    };
    // It takes connections, and says nothing: a service that is about to start.
    let channel = balanced(&[&world], ServiceName::Runtime);
    let token = world.run_token();
    let call = tokio::spawn(async move {
        let request = Request::new(CheckRequest::default()).with_token(token);
        EgressServiceClient::new(channel).check(request).await
    });
    let (server, stop) = (world.server.clone(), CancellationToken::new());
    let identity = world.pki.issue(NAME, &*world.clock).unwrap();
    tokio::spawn(async move { server.serve_tls(listener, &identity, stop).await.unwrap() });
    call.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_nowhere_is_unavailable_until_it_is_there() {
    let world = World::in_process();
    let listener = TcpListener::bind((loopback(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = World {
        address: Some(address),
        ..world
    };
    let channel = balanced(&[&world], ServiceName::Runtime);
    let failure = check(&world, &channel).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (Code::Unavailable, Reason::Unavailable)
    );
    let listener = TcpListener::bind(address).await.unwrap();
    let (server, stop) = (world.server.clone(), CancellationToken::new());
    let identity = world.pki.issue(NAME, &*world.clock).unwrap();
    tokio::spawn(async move { server.serve_tls(listener, &identity, stop).await.unwrap() });
    let back = async { while check(&world, &channel).await.is_err() {} };
    tokio::time::timeout(FOR_EVER, back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_with_the_wrong_certificate_is_never_called() {
    let (one, stranger) = (World::over_tls().await, World::over_tls().await);
    let channel = balanced(&[&one, &stranger], ServiceName::Runtime);
    for _ in 0..20 {
        check(&one, &channel).await.unwrap();
    }
    assert_eq!((one.toy.begun(), stranger.toy.begun()), (20, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_stands_for_its_addresses() {
    let world = World::over_tls().await;
    let channel = GrpcChannel::balanced(&Balanced {
        targets: vec![format!("localhost:{}", world.address.unwrap().port())],
        identity: world.pki.issue(ServiceName::Runtime, &*world.clock).unwrap(),
        server: NAME,
        resolve_every: Duration::from_secs(30),
    });
    check(&world, &channel.unwrap()).await.unwrap();
}

#[tokio::test]
async fn targets_that_are_no_addresses_are_refused() {
    let world = World::in_process();
    for targets in [vec![], vec!["memory".to_owned()]] {
        let refused = GrpcChannel::balanced(&Balanced {
            targets,
            identity: world.pki.issue(ServiceName::Runtime, &*world.clock).unwrap(),
            server: NAME,
            resolve_every: Duration::from_secs(30),
        });
        assert!(matches!(
            refused.err(),
            Some(TlsError::NoTargets | TlsError::Target(_))
        ));
    }
}
