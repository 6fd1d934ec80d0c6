//! The way out: one allowed host, which is a real TLS server on loopback behind a resolver and a dialler of the test's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use harombe::compose::Assembly;
use harombe_e2e::{Answer, Cut, Topology};
use harombe_egress_proxy::Edges;
use harombe_egress_proxy::domain::address::CheckedAddress;
use harombe_egress_proxy::domain::host::DnsName;
use harombe_egress_proxy::domain::resolver::{Answer as Found, ResolveError, Resolver};
use harombe_egress_proxy::net::dialer::{Dialer, Stream};
use harombe_egress_proxy::net::roots::Roots;
use harombe_proto::types::v1::ToolOutcome;
use harombe_types::ServiceName;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{ANSWER, call, outcomes, start_with, talk};

both!(an_allowed_host_is_reached_and_no_other);

const HOST: &str = "figures.example.com";
const ADDRESS: [u8; 4] = [93, 184, 215, 14];
const RESPONSE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n103,407.52 EU";

/// Knows one name, with a public address.
#[derive(Debug)]
struct OneName;

#[async_trait]
impl Resolver for OneName {
    async fn resolve(&self, name: &DnsName) -> Result<Found, ResolveError> {
        if name.as_str() != HOST {
            return Err(ResolveError::NoAddress { ttl: Duration::ZERO });
        }
        Ok(Found {
            addresses: [IpAddr::from(ADDRESS)].as_slice().into(),
            ttl: Duration::ZERO,
        })
    }
}

/// Leads to the server of the test, and remembers where it was asked to go.
#[derive(Debug)]
struct Detour {
    port: u16,
    dialled: Mutex<Vec<(IpAddr, u16)>>,
}

#[async_trait]
impl Dialer for Detour {
    async fn dial(&self, address: CheckedAddress, port: u16) -> io::Result<Box<dyn Stream>> {
        self.dialled.lock().unwrap().push((address.get(), port));
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).await?;
        Ok(Box::new(stream))
    }
}

/// A server with a certificate for [`HOST`], and the root that signed it.
async fn serve() -> (u16, RootCertStore, Arc<Mutex<Vec<String>>>) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![HOST.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn({
        let heard = Arc::clone(&heard);
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                heard.lock().unwrap().push(String::from_utf8(head).unwrap());
                stream.write_all(RESPONSE.as_bytes()).await.unwrap();
                // The other side may have closed already.
                let _ = stream.shutdown().await;
            }
        }
    });
    (port, roots, heard)
}

/// Where the test's server is, and what came of it.
struct Outside {
    detour: Arc<Detour>,
    heard: Arc<Mutex<Vec<String>>>,
    policy: tempfile::NamedTempFile,
    roots: RootCertStore,
}

impl Outside {
    async fn new() -> Self {
        let (port, roots, heard) = serve().await;
        let detour = Arc::new(Detour {
            port,
            dialled: Mutex::default(),
        });
        let policy = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(policy.path(), format!("[[allow]]\nhost = \"{HOST}\"\n")).unwrap();
        Self {
            detour,
            heard,
            policy,
            roots,
        }
    }

    /// Around this system.
    fn around(&self, assembly: &mut Assembly) {
        assembly.config.egress_proxy.policy = Some(self.policy.path().to_owned());
        assembly.edges = Some(Edges {
            resolver: Arc::new(OneName),
            dialer: self.detour.clone(),
            roots: Roots::Given(self.roots.clone()),
        });
    }

    fn dialled(&self) -> Vec<(IpAddr, u16)> {
        self.detour.dialled.lock().unwrap().clone()
    }
}

fn fetch(url: &str) -> String {
    call(&format!(
        "tool = \"web_fetch\"\narguments = {{ url = \"{url}\" }}"
    ))
}

async fn an_allowed_host_is_reached_and_no_other(topology: Topology) {
    let outside = Outside::new().await;
    let script = [
        fetch(&format!("https://{HOST}/2025.txt?q=1")),
        fetch("https://elsewhere.example.com/"),
        fetch(&format!("https://{HOST}:8443/")),
        fetch("https://127.0.0.1/"),
        ANSWER.to_owned(),
    ]
    .concat();
    let world = start_with(topology, &script, |assembly| outside.around(assembly)).await;
    let mut talk = talk(&world).await;
    talk.say("Compare the figures.", Answer::Approve).await.unwrap();

    let denied = (ToolOutcome::Denied, "EGRESS_DENIED");
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""), denied, denied, denied]);
    let finished = talk.finished();
    assert!(
        finished[0].result.contains("103,407.52 EU"),
        "{}",
        finished[0].result
    );
    assert_eq!(outside.dialled(), [(IpAddr::from(ADDRESS), 443)]);
    let heard = outside.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    assert!(
        heard[0].starts_with("GET /2025.txt?q=1 HTTP/1.1\r\n"),
        "{heard:?}"
    );

    let allowed = finished[0].call_id.clone();
    let log = world.stop().await.log().await;
    assert_eq!(
        log.of_call(&allowed),
        [
            "approval.requested",
            "approval.decided",
            "call.authorized",
            "grant.redeemed",
            "egress.decided",
            "egress.closed"
        ]
    );
    assert_eq!(log.count("egress.decided"), 4);
    assert_eq!(
        log.count("approval.requested"),
        1,
        "nobody is asked for what cannot be"
    );
}

/// One allowed fetch, with that wire cut after so many calls.
async fn fetch_with_a_cut(cut: Cut, calls: u64, expected: (ToolOutcome, &str)) {
    let outside = Outside::new().await;
    let script = [fetch(&format!("https://{HOST}/")), ANSWER.to_owned()].concat();
    let world = start_with(Topology::Embedded, &script, |assembly| {
        outside.around(assembly);
        assembly.wire = Arc::new(cut.clone());
    })
    .await;
    let mut talk = talk(&world).await;
    cut.cut_after(calls);
    talk.say("Compare the figures.", Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [expected]);
    assert_eq!(outside.dialled(), [], "nobody is called");
    cut.mend();
    world.stop().await.log_after_a_fault().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_log_nobody_is_called() {
    let cut = Cut::between(ServiceName::EgressProxy, ServiceName::Audit);
    fetch_with_a_cut(cut, 0, (ToolOutcome::Denied, "AUDIT_UNAVAILABLE")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hitl_nobody_is_called() {
    let cut = Cut::between(ServiceName::EgressProxy, ServiceName::Hitl);
    fetch_with_a_cut(cut, 0, (ToolOutcome::Denied, "HITL_UNAVAILABLE")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_goes_away_after_its_check_calls_nobody() {
    let cut = Cut::to(ServiceName::EgressProxy);
    fetch_with_a_cut(cut, 1, (ToolOutcome::Unknown, "EGRESS_UNAVAILABLE")).await;
}
