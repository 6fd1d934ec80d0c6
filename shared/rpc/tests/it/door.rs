//! The public port: both versions of HTTP with and without TLS, who came, and how it stops.

use harombe_error::{Code, Reason};
use harombe_proto::hitl::v1::WatchRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_rpc::{GrpcChannel, Public, PublicLimits, TlsError, public_tls};
use harombe_testkit::loopback;
use rcgen::{CertificateParams, KeyPair};
use tokio_stream::StreamExt as _;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::stranger::{KEY, Port, list, say};
use crate::toy::{Act, reached};

const HTTP1: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";

/// A certificate for `localhost`, its own CA.
fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn grpc_and_http_1_share_a_port() {
    let port = Port::open(PublicLimits::default(), None).await;
    port.call().await.unwrap();
    let said = say(port.socket().await, HTTP1).await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert!(said.ends_with("\r\n\r\nhello"), "{said}");
}

#[tokio::test]
async fn tls_carries_both_too_and_only_to_whom_the_client_trusts() {
    let (chain, key) = certificate();
    let tls = public_tls(chain.as_bytes(), key.as_bytes()).unwrap();
    let port = Port::open(PublicLimits::default(), Some(tls)).await;
    let client = |ca: &str| Public {
        uri: format!("https://localhost:{}", port.address.port())
            .parse()
            .unwrap(),
        ca: Some(ca.as_bytes().to_vec()),
        key: Some(KEY.to_owned()),
    };
    list(GrpcChannel::public(&client(&chain)).unwrap()).await.unwrap();

    let (other, _) = certificate();
    let failure = list(GrpcChannel::public(&client(&other)).unwrap())
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    assert_eq!(port.toy.begun(), 1);
    // Plain text gets a TLS alert at most.
    assert!(!say(port.socket().await, HTTP1).await.contains("HTTP"));
    port.call().await.unwrap_err();
}

#[tokio::test]
async fn a_key_is_needed_and_the_authenticator_learns_where_it_came_from() {
    let port = Port::open(PublicLimits::default(), None).await;
    let uri: http::Uri = format!("http://{}", port.address).parse().unwrap();
    let bare = Public {
        uri,
        ca: None,
        key: None,
    };
    let failure = list(GrpcChannel::public(&bare).unwrap()).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Unauthenticated);
    let peers = port.peers.lock().clone();
    assert_eq!(peers.len(), 1);
    assert!(
        peers
            .iter()
            .all(|peer| peer.ip() == port.address.ip() && *peer != port.address)
    );
}

#[tokio::test]
async fn a_key_is_not_sent_where_it_can_be_read() {
    let public = |uri: &str| {
        GrpcChannel::public(&Public {
            uri: uri.parse().unwrap(),
            ca: None,
            key: Some(KEY.to_owned()),
        })
    };
    assert!(matches!(
        public("http://192.0.2.1:7400"),
        Err(TlsError::PlainText(_))
    ));
    assert!(matches!(
        public("http://example.test:7400"),
        Err(TlsError::PlainText(_))
    ));
    assert!(matches!(public("http://localhost"), Err(TlsError::Address(_))));
    public("http://[::1]:7400").unwrap();
    public("http://localhost:7400").unwrap();
}

#[test]
fn a_key_of_another_certificate_is_not_served() {
    let ((chain, key), (_, other)) = (certificate(), certificate());
    assert!(matches!(
        public_tls(chain.as_bytes(), other.as_bytes()),
        Err(TlsError::Identity(_))
    ));
    assert!(matches!(
        public_tls(key.as_bytes(), key.as_bytes()),
        Err(TlsError::Pem { .. })
    ));
    assert!(matches!(
        public_tls(chain.as_bytes(), b""),
        Err(TlsError::Pem { .. })
    ));
}

#[tokio::test]
async fn a_port_that_stops_finishes_what_was_begun() {
    // Nobody else comes to listen there afterwards.
    let port = Port::open_at(loopback(), PublicLimits::default(), None).await;
    port.toy.then(Act::Wait);
    let channel = port.channel();
    let call = tokio::spawn(list(channel));
    reached(&port.toy.seen.begun, 1).await;
    port.stop.cancel();
    port.toy.gate.add_permits(1);
    call.await.unwrap().unwrap();
    port.serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(port.address).await.is_err());
}

#[tokio::test]
async fn health_says_when_a_server_wants_no_more_calls() {
    let port = Port::open(PublicLimits::default(), None).await;
    let mut health = HealthClient::new(port.channel());
    let whole = || Request::new(HealthCheckRequest::default());
    let mut states = health.watch(whole()).await.unwrap().into_inner();
    let first = states.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    port.server.set_serving(false);
    let next = states.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    let of_service = HealthCheckRequest {
        service: "harombe.hitl.v1.ApprovalService".to_owned(),
    };
    let now = health.check(of_service).await.unwrap().into_inner();
    assert_eq!(now.status(), ServingStatus::NotServing);
    port.call().await.unwrap();

    port.server.set_serving(true);
    let next = states.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::Serving);
    let now = health.check(whole()).await.unwrap().into_inner();
    assert_eq!(now.status(), ServingStatus::Serving);
    let unknown = HealthCheckRequest {
        service: "nobody".to_owned(),
    };
    assert_eq!(
        health.check(unknown).await.unwrap_err().code(),
        tonic::Code::NotFound
    );
}

#[tokio::test]
async fn a_port_that_stops_does_not_wait_for_watches_of_its_health() {
    let port = Port::open(PublicLimits::default(), None).await;
    let mut health = HealthClient::new(port.channel());
    let whole = Request::new(HealthCheckRequest::default());
    let mut states = health.watch(whole).await.unwrap().into_inner();
    states.message().await.unwrap().unwrap();
    port.stop.cancel();
    assert!(states.message().await.unwrap().is_none());
    port.serving.await.unwrap();
}

#[tokio::test]
async fn a_stopping_server_ends_the_watches_of_its_health() {
    let port = Port::open(PublicLimits::default(), None).await;
    let mut health = HealthClient::new(port.channel());
    let mut states = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    states.message().await.unwrap().unwrap();
    port.server.tasks().shutdown(std::time::Duration::ZERO).await;
    assert!(states.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_is_served_over_the_public_port() {
    let port = Port::open(PublicLimits::default(), None).await;
    let frames = ApprovalServiceClient::new(port.channel())
        .watch(WatchRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(frames.collect::<Vec<_>>().await.len(), 3);
}
