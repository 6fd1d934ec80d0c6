//! Certificates that are not good now, and clocks that do not agree.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure};
use harombe_identity::{CertificateAuthority, ServiceIdentity};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_rpc::{GrpcChannel, Remote, RequestExt as _};
use harombe_types::{Clock as _, ManualClock, ServiceName, SystemClock, Timestamp};
use tokio::net::TcpListener;
use tonic::Request;

use crate::world::{NAME, World};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn from_now(before: Duration, after: Duration) -> ManualClock {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap();
    let now = SystemClock.now().as_millis();
    ManualClock::at(Timestamp::from_millis(now - millis(before) + millis(after)))
}

/// A world whose CA is two years old, so that it has issued certificates that are over.
async fn serving(issued: &ManualClock) -> World {
    let pki = CertificateAuthority::create("toy.test", &from_now(2 * 365 * DAY, Duration::ZERO)).unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let mut world = World::of(Arc::new(pki), clock);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.address = Some(listener.local_addr().unwrap());
    let identity = world.pki.issue(NAME, issued).unwrap();
    let (server, stop) = (world.server.clone(), world.stop.clone());
    tokio::spawn(async move { server.serve_tls(listener, &identity, stop).await });
    world
}

async fn call(world: &World, identity: ServiceIdentity) -> Result<(), Failure> {
    let uri = format!("https://{}", world.address.unwrap()).parse().unwrap();
    let channel = GrpcChannel::remote(&Remote {
        uri,
        identity,
        server: NAME,
    });
    let request = Request::new(CheckRequest::default()).with_token(world.run_token());
    EgressServiceClient::new(channel.unwrap())
        .check(request)
        .await
        .map(drop)
        .map_err(Failure::from)
}

async fn check(server: ManualClock, client: ManualClock, expected: bool) {
    let world = serving(&server).await;
    let identity = world.pki.issue(ServiceName::Runtime, &client).unwrap();
    let answer = call(&world, identity).await;
    match answer {
        Ok(()) => assert!(expected, "it was let in"),
        Err(failure) => {
            assert_eq!(failure.code, Code::Unavailable);
            assert!(!expected, "{failure:?}");
        }
    }
    assert_eq!(world.toy.begun(), usize::from(expected));
}

#[tokio::test]
async fn expired_certificates_are_refused_on_both_sides() {
    let good = || from_now(Duration::ZERO, Duration::ZERO);
    let over = || from_now(400 * DAY, Duration::ZERO);
    check(good(), good(), true).await;
    check(good(), over(), false).await;
    check(over(), good(), false).await;
}

#[tokio::test]
async fn clocks_may_differ_by_less_than_an_hour() {
    let good = || from_now(Duration::ZERO, Duration::ZERO);
    let ahead = |by| from_now(Duration::ZERO, by);
    check(good(), ahead(HOUR / 2), true).await;
    check(ahead(HOUR / 2), good(), true).await;
    check(good(), ahead(2 * HOUR), false).await;
    check(ahead(2 * HOUR), good(), false).await;
}

/// The service's own clock counts too: it may know better than the machine's.
#[tokio::test]
async fn a_certificate_that_is_over_by_the_services_clock_is_refused() {
    let world = serving(&from_now(Duration::ZERO, Duration::ZERO)).await;
    let identity = world.pki.issue(ServiceName::Runtime, &*world.clock).unwrap();
    call(&world, identity.clone()).await.unwrap();
    world.clock.advance(400 * DAY);
    assert_eq!(call(&world, identity).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(world.toy.begun(), 1);
}
