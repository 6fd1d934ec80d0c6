//! The allowed path, end to end, with resolver, dialler and roots injected: nothing here can reach the internet.

use std::sync::Arc;
use std::time::Duration;

use harombe_egress_proxy::domain::denial::Stage;
use harombe_egress_proxy::domain::headers;
use harombe_egress_proxy::fetch::{FetchError, Fetched, Fetcher, Limits};
use harombe_egress_proxy::net::roots::Roots;
use rustls::RootCertStore;

use crate::server::{Authority, Detour, Server};
use crate::support::{Script, ScriptedResolver, decide};

const POLICY: &str = "
[[allow]]
host = \"api.allowed.test\"
[[allow]]
host = \"plain.allowed.test\"
scheme = \"http\"
";
const PUBLIC: &str = "93.184.215.14";
const OTHER: &str = "2606:2800:21f::1";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello";

struct World {
    authority: Authority,
    server: Server,
    detour: Arc<Detour>,
    limits: Limits,
}

impl World {
    /// A server for `name` that gives `response`.
    async fn new(name: &str, response: impl Into<Vec<u8>>) -> Self {
        let authority = Authority::new();
        let server = Server::start(Some(authority.server(name, |_| ())), response).await;
        Self::with(authority, server)
    }

    fn with(authority: Authority, server: Server) -> Self {
        let detour = Arc::new(Detour {
            port: server.port,
            ..Detour::default()
        });
        Self {
            authority,
            server,
            detour,
            limits: Limits::default(),
        }
    }

    async fn fetch(&self, method: &str, url: &str, max_bytes: u64) -> Result<Fetched, FetchError> {
        self.fetch_with(method, url, max_bytes, &[], Roots::Given(self.authority.roots()))
            .await
    }

    async fn fetch_with(
        &self,
        method: &str,
        url: &str,
        max_bytes: u64,
        fields: &[(&str, &str)],
        roots: Roots,
    ) -> Result<Fetched, FetchError> {
        let answer = Script::Lookups(vec![vec![
            PUBLIC.parse().expect("v4"),
            OTHER.parse().expect("v6"),
        ]]);
        let names = ["api.allowed.test", "plain.allowed.test"].map(|name| (name.to_owned(), answer.clone()));
        let allowed = decide(POLICY, ScriptedResolver::new(names), method, url)
            .await
            .expect("allowed");
        let outgoing = headers::outgoing(fields.iter().copied(), &allowed.target).expect("fields");
        let fetcher = Fetcher::new(self.detour.clone(), roots, self.limits);
        fetcher.fetch(&allowed, outgoing.fields, max_bytes).await
    }

    fn dialled(&self) -> Vec<String> {
        let dialled = self.detour.dialled.lock().expect("a lock");
        dialled
            .iter()
            .map(|(address, port)| format!("{address} {port}"))
            .collect()
    }
}

async fn read(fetched: &mut Fetched) -> Result<Vec<u8>, FetchError> {
    let mut all = Vec::new();
    while let Some(piece) = fetched.body.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

#[tokio::test]
async fn an_allowed_https_read_goes_through_verified_and_pinned() {
    let world = World::new("api.allowed.test", HELLO).await;
    let fields = [
        ("Accept", "text/plain"),
        ("Authorization", "Bearer x"),
        ("Host", "API.allowed.test"),
    ];
    let roots = Roots::Given(world.authority.roots());
    let url = "https://API.allowed.test./a?b=c";
    let mut fetched = world
        .fetch_with("GET", url, 1000, &fields, roots)
        .await
        .expect("fetched");
    assert_eq!(read(&mut fetched).await.expect("a body"), b"hello");
    assert_eq!(
        (
            fetched.head.status,
            fetched.body.truncated(),
            fetched.body.received()
        ),
        (200, false, 5)
    );
    assert_eq!(fetched.head.address.get().to_string(), PUBLIC);
    assert_eq!(
        world.dialled(),
        [format!("{PUBLIC} 443")],
        "the checked address, and only it"
    );
    let heard = world.server.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].sni.as_deref(), Some("api.allowed.test"));
    let mut lines: Vec<_> = heard[0]
        .head
        .trim_end()
        .split("\r\n")
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.remove(0), "GET /a?b=c HTTP/1.1");
    lines.sort_unstable();
    let agent = format!("user-agent: harombe/{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "accept-encoding: identity",
        "accept: text/plain",
        "connection: close",
        "host: api.allowed.test",
    ];
    assert_eq!(
        lines,
        expected.into_iter().chain([agent.as_str()]).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn plain_http_is_possible_where_a_rule_says_so() {
    let server = Server::start(None, HELLO).await;
    let world = World::with(Authority::new(), server);
    let mut fetched = world
        .fetch("GET", "http://plain.allowed.test/", 1000)
        .await
        .expect("fetched");
    assert_eq!(read(&mut fetched).await.expect("a body"), b"hello");
    assert_eq!(world.dialled(), [format!("{PUBLIC} 80")]);
}

#[tokio::test]
async fn a_peer_that_cannot_prove_its_name_is_refused() {
    let past = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let authority = Authority::new();
    let stranger = Authority::new();
    let servers = [
        ("another name", authority.server("attacker.test", |_| ())),
        ("another authority", stranger.server("api.allowed.test", |_| ())),
        ("expired", authority.server("api.allowed.test", past)),
        (
            "the address instead of the name",
            authority.server(PUBLIC, |_| ()),
        ),
    ];
    let roots = authority.roots();
    for (what, config) in servers {
        let world = World::with(Authority::new(), Server::start(Some(config), HELLO).await);
        let roots = Roots::Given(roots.clone());
        let error = world
            .fetch_with("GET", "https://api.allowed.test/", 9, &[], roots)
            .await
            .expect_err(what);
        assert_eq!(error.stage(), Stage::Tls, "{what}: {error}");
        assert!(world.server.heard().is_empty(), "{what}: a request was sent");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_and_an_empty_trust_store_are_refused() {
    let plain = World::with(Authority::new(), Server::start(None, HELLO).await);
    let mut limits = plain;
    limits.limits.head = Duration::from_millis(200);
    let error = limits
        .fetch("GET", "https://api.allowed.test/", 9)
        .await
        .expect_err("no tls");
    assert!(
        matches!(error, FetchError::Tls(_) | FetchError::TimeLimit),
        "{error}"
    );
    let world = World::new("api.allowed.test", HELLO).await;
    let none = Roots::Given(RootCertStore::empty());
    let error = world
        .fetch_with("GET", "https://api.allowed.test/", 9, &[], none)
        .await
        .expect_err("no roots");
    assert!(matches!(error, FetchError::Roots(_)), "{error}");
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let response = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\nSet-Cookie: a=b\r\n\
                    Alt-Svc: h3=\"attacker.test:443\"\r\nContent-Length: 0\r\n\r\n";
    let world = World::new("api.allowed.test", response).await;
    let mut fetched = world
        .fetch("GET", "https://api.allowed.test/", 1000)
        .await
        .expect("fetched");
    assert_eq!(read(&mut fetched).await.expect("a body"), b"");
    assert_eq!(fetched.head.status, 302);
    let names: Vec<_> = fetched.head.fields.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["location", "content-length"]);
    assert_eq!(world.dialled().len(), 1);
}

#[tokio::test]
async fn a_body_is_cut_at_its_budget() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n4\r\nefgh\r\n0\r\nHost: x\r\n\r\n";
    let world = World::new("api.allowed.test", chunked).await;
    for (budget, expected, truncated) in [
        (6, "abcdef", true),
        (8, "abcdefgh", false),
        (4, "abcd", true),
        (99, "abcdefgh", false),
    ] {
        let mut fetched = world
            .fetch("GET", "https://api.allowed.test/", budget)
            .await
            .expect("fetched");
        assert_eq!(
            String::from_utf8(read(&mut fetched).await.expect("a body")).expect("text"),
            expected
        );
        assert_eq!(fetched.body.truncated(), truncated, "budget {budget}");
        assert_eq!(fetched.body.received(), 8, "what stands at the cut is looked at");
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_no_further_than_it_must_be() {
    let endless = ["HTTP/1.1 200 OK\r\n\r\n", &"0123456789".repeat(1 << 20)].concat();
    let world = World::new("api.allowed.test", endless).await;
    let mut fetched = world
        .fetch("GET", "https://api.allowed.test/", 1000)
        .await
        .expect("fetched");
    assert_eq!(read(&mut fetched).await.expect("a body").len(), 1000);
    assert!(fetched.body.truncated());
    assert!(fetched.body.received() < 1 << 20, "{}", fetched.body.received());
}

#[tokio::test]
async fn a_secret_at_the_cut_comes_neither_whole_nor_by_half() {
    let secret = ["gh", "p_", "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1"].concat();
    let page = format!("The token is {secret} today.\n");
    let response = format!("HTTP/1.1 200 OK\r\nX-Token: {secret}\r\n\r\n{page}");
    let world = World::new("api.allowed.test", response).await;
    for budget in [10, 17, 25, 40, 52, 53, 60, 1000] {
        let mut fetched = world
            .fetch("GET", "https://api.allowed.test/", budget)
            .await
            .expect("fetched");
        let expected = "The token is [REDACTED:github_token] today.\n";
        let most = expected.len().min(usize::try_from(budget).expect("small"));
        assert_eq!(
            String::from_utf8(read(&mut fetched).await.expect("a body")).expect("text"),
            expected[..most]
        );
        assert_eq!(fetched.body.truncated(), most < expected.len(), "budget {budget}");
        assert!(!format!("{:?}", fetched.head.fields).contains(&secret[..12]));
    }
}

#[tokio::test]
async fn head_has_no_body() {
    let world = World::new("api.allowed.test", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
    let mut fetched = world
        .fetch("HEAD", "https://api.allowed.test/", 9)
        .await
        .expect("fetched");
    assert_eq!(read(&mut fetched).await.expect("nothing"), b"");
    assert!(world.server.heard()[0].head.starts_with("HEAD / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn the_next_checked_address_is_tried_and_no_other() {
    let mut world = World::new("api.allowed.test", HELLO).await;
    let dead = vec![PUBLIC.parse().expect("v4")];
    world.detour = Arc::new(Detour {
        port: world.server.port,
        dead,
        ..Detour::default()
    });
    let fetched = world
        .fetch("GET", "https://api.allowed.test/", 9)
        .await
        .expect("fetched");
    assert_eq!(fetched.head.address.get().to_string(), OTHER);
    assert_eq!(world.dialled(), [format!("{PUBLIC} 443"), format!("{OTHER} 443")]);
    let dead = vec![PUBLIC.parse().expect("v4"), OTHER.parse().expect("v6")];
    world.detour = Arc::new(Detour {
        port: world.server.port,
        dead,
        ..Detour::default()
    });
    let error = world
        .fetch("GET", "https://api.allowed.test/", 9)
        .await
        .expect_err("nobody answers");
    assert_eq!(error.stage(), Stage::Dial);
    assert_eq!(world.dialled().len(), 2);
}

#[tokio::test]
async fn responses_outside_the_rules_end_the_exchange() {
    let wide = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    for (what, response) in [
        ("a head over its limit", wide.as_str()),
        ("too many fields", many.as_str()),
        ("another protocol", "SSH-2.0-OpenSSH_9.6\r\n"),
        (
            "a protocol switch",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ),
        (
            "a bad length",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        ),
        ("nothing", "\r\n"),
    ] {
        let world = World::new("api.allowed.test", response).await;
        let error = world
            .fetch("GET", "https://api.allowed.test/", 9)
            .await
            .expect_err(what);
        assert_eq!(error.stage(), Stage::Relay, "{what}: {error}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    ] {
        let world = World::new("api.allowed.test", response).await;
        let mut fetched = world
            .fetch("GET", "https://api.allowed.test/", 1000)
            .await
            .expect("a head");
        assert!(
            matches!(read(&mut fetched).await, Err(FetchError::Exchange(_))),
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_does_not_hold_the_caller() {
    let mut world = World::new("api.allowed.test", "").await;
    world.limits.head = Duration::from_millis(50);
    let error = world
        .fetch("GET", "https://api.allowed.test/", 9)
        .await
        .expect_err("silence");
    assert!(matches!(error, FetchError::TimeLimit), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_encoded_all_the_same_is_refused() {
    let gzipped = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello";
    let world = World::new("api.allowed.test", gzipped).await;
    let refused = world.fetch("GET", "https://api.allowed.test/", 100).await;
    assert!(matches!(refused, Err(FetchError::Coded)), "{:?}", refused.err());
}
