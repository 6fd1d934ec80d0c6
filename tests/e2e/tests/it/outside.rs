//! The way out: one allowed host, which is a real TLS server on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use harombe_e2e::{ADDRESS, Answer, Cut, HOST, Outside, Setup, Stage};
use harombe_proto::types::v1::ToolOutcome;
use harombe_testkit::loopback;
use harombe_types::ServiceName;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{ANSWER, call, outcomes, start_with, talk};

both!(
    an_allowed_host_is_reached_and_no_other,
    without_the_log_nobody_is_called,
    without_hitl_nobody_is_called,
    a_proxy_that_goes_away_after_its_check_calls_nobody
);

const RESPONSE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n103,407.52 EU";

/// A server with a certificate for [`HOST`], the root that signed it, and the requests it heard.
async fn serve() -> (SocketAddr, String, Arc<Mutex<Vec<String>>>) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![HOST.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let root = authority.pem();
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

    let listener = TcpListener::bind((loopback(), 443)).await.unwrap();
    let address = listener.local_addr().unwrap();
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
    (address, root, heard)
}

/// The test's server, and what came of it.
struct Server {
    outside: Outside,
    heard: Arc<Mutex<Vec<String>>>,
    policy: tempfile::NamedTempFile,
}

impl Server {
    async fn new() -> Self {
        let (address, root, heard) = serve().await;
        let policy = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(policy.path(), format!("[[allow]]\nhost = \"{HOST}\"\n")).unwrap();
        Self {
            outside: Outside::new(address, &root),
            heard,
            policy,
        }
    }

    /// As the one host outside of this system.
    fn around(&self, setup: &mut Setup) {
        setup.config.egress_proxy.policy = Some(self.policy.path().to_owned());
        setup.outside = Some(self.outside.clone());
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn fetch(url: &str) -> String {
    call(&format!(
        "tool = \"web_fetch\"\narguments = {{ url = \"{url}\" }}"
    ))
}

async fn an_allowed_host_is_reached_and_no_other(stage: &Stage) {
    let server = Server::new().await;
    let script = [
        fetch(&format!("https://{HOST}/2025.txt?q=1")),
        fetch("https://elsewhere.example.com/"),
        fetch(&format!("https://{HOST}:8443/")),
        fetch("https://127.0.0.1/"),
        ANSWER.to_owned(),
    ]
    .concat();
    let world = start_with(stage, &script, |setup| server.around(setup)).await;
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
    assert_eq!(server.outside.dialled(), [SocketAddr::from((ADDRESS, 443))]);
    let heard = server.heard();
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
async fn fetch_with_a_cut(stage: &Stage, cut: Cut, calls: u64, expected: (ToolOutcome, &str)) {
    let server = Server::new().await;
    let script = [fetch(&format!("https://{HOST}/")), ANSWER.to_owned()].concat();
    let world = start_with(stage, &script, |setup| {
        server.around(setup);
        setup.cut = Some(cut.clone());
    })
    .await;
    let mut talk = talk(&world).await;
    cut.cut_after(calls);
    talk.say("Compare the figures.", Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [expected]);
    assert_eq!(server.outside.dialled(), [], "nobody is called");
    cut.mend();
    world.stop().await.log_after_a_fault().await;
}

async fn without_the_log_nobody_is_called(stage: &Stage) {
    let cut = Cut::between(ServiceName::EgressProxy, ServiceName::Audit);
    fetch_with_a_cut(stage, cut, 0, (ToolOutcome::Denied, "AUDIT_UNAVAILABLE")).await;
}

async fn without_hitl_nobody_is_called(stage: &Stage) {
    let cut = Cut::between(ServiceName::EgressProxy, ServiceName::Hitl);
    fetch_with_a_cut(stage, cut, 0, (ToolOutcome::Denied, "HITL_UNAVAILABLE")).await;
}

async fn a_proxy_that_goes_away_after_its_check_calls_nobody(stage: &Stage) {
    let cut = Cut::to(ServiceName::EgressProxy);
    fetch_with_a_cut(stage, cut, 1, (ToolOutcome::Unknown, "EGRESS_UNAVAILABLE")).await;
}
