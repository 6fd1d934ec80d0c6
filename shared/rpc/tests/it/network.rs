//! What only a network can do: wrong peers, lost connections, servers that are not there.

use std::sync::Arc;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::{CertificateAuthority, dns_name};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::hitl::v1::WatchRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_rpc::{GrpcChannel, Remote, RequestExt as _};
use harombe_testkit::loopback;
use harombe_types::ServiceName;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::stranger::converse;
use crate::toy::{Act, reached};
use crate::world::{NAME, World};

fn remote(world: &World, pki: &CertificateAuthority, server: ServiceName) -> GrpcChannel {
    let identity = pki.issue(ServiceName::Runtime, &*world.clock).unwrap();
    let uri = format!("https://{}", world.address.unwrap()).parse().unwrap();
    GrpcChannel::remote(&Remote {
        uri,
        identity,
        server,
    })
    .unwrap()
}

async fn check(world: &World, channel: GrpcChannel) -> Result<(), Failure> {
    let request = Request::new(CheckRequest::default()).with_token(world.run_token());
    EgressServiceClient::new(channel)
        .check(request)
        .await
        .map(drop)
        .map_err(Failure::from)
}

fn check_unreachable(answer: Result<(), Failure>) {
    let failure = answer.unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (Code::Unavailable, Reason::Unavailable),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_server_with_another_services_certificate_is_not_spoken_to() {
    let world = World::over_tls().await;
    check(&world, remote(&world, &world.pki, NAME)).await.unwrap();
    check_unreachable(check(&world, remote(&world, &world.pki, ServiceName::Audit)).await);
    assert_eq!(world.toy.begun(), 1);
}

#[tokio::test]
async fn certificates_of_another_ca_are_worth_nothing() {
    let world = World::over_tls().await;
    let elsewhere = CertificateAuthority::create("toy.test", &*world.clock).unwrap();
    check_unreachable(check(&world, remote(&world, &elsewhere, NAME)).await);
    assert_eq!(world.toy.begun(), 0);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let world = World::over_tls().await;
    let mut roots = RootCertStore::empty();
    roots.add(world.pki.roots().ca_der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let address = world.address.unwrap();
    let dial = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move {
            let socket = TcpStream::connect(address).await?;
            let name = ServerName::try_from(dns_name(NAME)).unwrap();
            connector.connect(name, socket).await.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from_static("http://toy").connect_with_connector_lazy(dial);
    let request = Request::new(CheckRequest::default()).with_token(world.run_token());
    EgressServiceClient::new(channel)
        .check(request)
        .await
        .unwrap_err();
    assert_eq!(world.toy.begun(), 0);
}

#[tokio::test]
async fn plain_text_is_not_answered() {
    let world = World::over_tls().await;
    let channel = Endpoint::from_shared(format!("http://{}", world.address.unwrap()))
        .unwrap()
        .connect_lazy();
    let request = Request::new(CheckRequest::default()).with_token(world.run_token());
    EgressServiceClient::new(channel)
        .check(request)
        .await
        .unwrap_err();
    assert_eq!(world.toy.begun(), 0);
}

/// HTTP/1 in plain text; and over TLS with the certificate of a service that may call, which says that it will speak HTTP/1,
/// says nothing of it, or says HTTP/2 and speaks HTTP/1 all the same.
#[tokio::test]
async fn http_1_at_an_internal_port_is_refused_even_with_a_certificate_and_other_calls_go_on() {
    let world = World::over_tls().await;
    world.toy.then(Act::Wait);
    let channel = remote(&world, &world.pki, NAME);
    let (token, waiting) = (world.run_token(), channel.clone());
    let call = tokio::spawn(async move {
        let request = Request::new(CheckRequest::default()).with_token(token);
        EgressServiceClient::new(waiting).check(request).await
    });
    reached(&world.toy.seen.begun, 1).await;

    let request = format!(
        "POST /harombe.egress.v1.EgressService/Check HTTP/1.1\r\nhost: toy\r\ncontent-type: application/grpc\r\n\
         x-harombe-principal: {}\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
        world.run_token().as_str()
    );
    let socket = || async { TcpStream::connect(world.address.unwrap()).await.unwrap() };
    let said = converse(socket().await, request.as_bytes()).await;
    assert!(!said.windows(4).any(|part| part == b"HTTP"), "{said:?}");
    let protocols: [(&[&[u8]], bool); 3] = [(&[b"http/1.1"], false), (&[], true), (&[b"h2"], true)];
    for (alpn, shakes_hands) in protocols {
        let stream = connector(&world, alpn)
            .connect(ServerName::try_from(dns_name(NAME)).unwrap(), socket().await)
            .await;
        assert_eq!(stream.is_ok(), shakes_hands, "{alpn:?}");
        let Ok(stream) = stream else { continue };
        // At most the frames with which HTTP/2 says goodbye.
        let said = converse(stream, request.as_bytes()).await;
        assert!(!said.windows(4).any(|part| part == b"HTTP"), "{alpn:?}: {said:?}");
    }

    check(&world, channel).await.unwrap();
    world.toy.gate.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap().into_inner().reason, "waited");
    assert_eq!(world.toy.begun(), 2);
}

/// A TLS client that shows runtime's certificate.
fn connector(world: &World, alpn: &[&[u8]]) -> TlsConnector {
    let identity = world.pki.issue(ServiceName::Runtime, &*world.clock).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(world.pki.roots().ca_der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain().to_vec(), identity.key().clone_key().into())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_may_come_later() {
    let mut world = World::in_process();
    let listener = TcpListener::bind((loopback(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    world.address = Some(address);
    let channel = remote(&world, &world.pki, NAME);
    check_unreachable(check(&world, channel.clone()).await);

    let listener = TcpListener::bind(address).await.unwrap();
    let (server, stop) = (world.server.clone(), CancellationToken::new());
    let identity = world.pki.issue(NAME, &*world.clock).unwrap();
    tokio::spawn(async move { server.serve_tls(listener, &identity, stop).await.unwrap() });
    check(&world, channel).await.unwrap();
}

/// The server's connections are cut, as by a crash: its runtime goes away in the middle of a stream.
#[test]
fn a_stream_whose_server_dies_ends_as_unavailable() {
    let dying = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let world = dying.block_on(World::over_tls());
    let living = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    living.block_on(async {
        world.toy.then(Act::Wait);
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let mut client = ApprovalServiceClient::new(world.channel(ServiceName::Gateway));
        let mut frames = client.watch(request).await.unwrap().into_inner();
        for _ in 0..3 {
            frames.message().await.unwrap().unwrap();
        }
        dying.shutdown_background();
        let failure = Failure::from(frames.message().await.unwrap_err());
        assert_eq!(
            (failure.code, failure.reason),
            (Code::Unavailable, Reason::Unavailable)
        );
    });
}

#[tokio::test]
async fn a_server_stops_listening_and_finishes_what_was_begun() {
    let mut world = World::in_process();
    let listener = TcpListener::bind((loopback(), 0)).await.unwrap();
    world.address = Some(listener.local_addr().unwrap());
    let (server, stop) = (world.server.clone(), world.stop.clone());
    let identity = world.pki.issue(NAME, &*world.clock).unwrap();
    let serving = tokio::spawn(async move { server.serve_tls(listener, &identity, stop).await });

    world.toy.then(Act::Wait);
    let channel = world.channel(ServiceName::Runtime);
    let token = world.run_token();
    let call = tokio::spawn(async move {
        let request = Request::new(CheckRequest::default()).with_token(token);
        EgressServiceClient::new(channel).check(request).await
    });
    reached(&world.toy.seen.begun, 1).await;
    world.stop.cancel();
    world.toy.gate.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap().into_inner().reason, "waited");
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(world.address.unwrap()).await.is_err());
}

#[tokio::test]
async fn an_address_without_a_port_is_refused() {
    let world = World::in_process();
    let identity = world.pki.issue(ServiceName::Runtime, &*world.clock).unwrap();
    let remote = Remote {
        uri: "https://localhost".parse().unwrap(),
        identity,
        server: NAME,
    };
    assert!(GrpcChannel::remote(&remote).is_err());
}
