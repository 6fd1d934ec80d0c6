//! Services as processes of their own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use harombe_testkit::loopback;
use harombe_types::ServiceName;
use rustix::process::Signal;

use crate::cluster::{Cluster, first_key};
use crate::harness::{Home, Live, Ran, word_after};

/// What `GET path` answers at an ops address: the status line and the body.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn seven_processes_answer_a_message_whichever_came_first() {
    let cluster = Cluster::new();
    // Callers before those they call: nobody waits for anybody.
    let mut services = ServiceName::SERVICES.map(|service| cluster.serve(service));
    let key = cluster.admin_key();
    let ran = cluster.client(&key, &["run", "hi"]).good();
    assert!(ran.out.contains("No model is configured"), "{ran:#?}");
    for live in &services {
        let ops = word_after(&live.seen, "health and metrics are on http://");
        assert!(get(&ops, "/livez").0.contains(" 200 "), "{}", live.seen);
        assert!(get(&ops, "/readyz").0.contains(" 200 "), "{}", live.seen);
        let (_, metrics) = get(&ops, "/metrics");
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    }
    for live in &mut services {
        live.signal(Signal::TERM);
        assert!(live.end().success(), "{}", live.seen);
    }
    let verified = cluster.home.run(["audit", "verify"]).good();
    assert!(verified.out.starts_with("verified"), "{verified:#?}");
}

#[test]
fn a_service_ends_in_order_with_streams_open() {
    let cluster = Cluster::new();
    let mut services = ServiceName::SERVICES.map(|service| cluster.serve(service));
    let key = cluster.admin_key();
    let mut command = cluster.home.bare();
    command.args(["--server", &cluster.url, "--key-file", &key, "approvals", "watch"]);
    let mut watching = Live::start(command);
    let of = |name| {
        ServiceName::SERVICES
            .iter()
            .position(|service| *service == name)
            .unwrap()
    };
    // The stream goes through the gateway to hitl, and nothing is ever decided.
    let ops = word_after(&services[of(ServiceName::Hitl)].seen, "metrics are on http://");
    let is_open = |line: &str| {
        line.starts_with("harombe_rpc_server_in_flight")
            && line.contains("ApprovalService/Watch")
            && line.ends_with(" 1")
    };
    while !get(&ops, "/metrics").1.lines().any(is_open) {
        std::thread::sleep(Duration::from_millis(20));
    }
    for name in [ServiceName::Hitl, ServiceName::Gateway] {
        let live = &mut services[of(name)];
        live.signal(Signal::TERM);
        assert!(live.end().success(), "{}", live.seen);
    }
    assert_eq!(watching.end().code(), Some(1), "{}", watching.seen);
}

#[test]
fn a_key_opens_the_door_until_it_is_revoked() {
    let cluster = Cluster::new();
    let _services = ServiceName::SERVICES.map(|service| cluster.serve(service));
    let admin = cluster.admin_key();
    let made = cluster
        .client(
            &admin,
            &["keys", "create", "ci", "--role", "user", "--expires", "1d"],
        )
        .good();
    assert!(
        made.out.starts_with("hrb_") && made.out.lines().count() == 1,
        "{made:#?}"
    );
    let ci = cluster.home.file("ci.key", &made.out);
    let as_ci = |args: &[&str]| cluster.client(&ci, args);
    as_ci(&["run", "hi"]).refused(&["ci.key", "chmod 600"]);
    std::fs::set_permissions(&ci, std::fs::Permissions::from_mode(0o600)).unwrap();
    as_ci(&["run", "hi"]).good();
    as_ci(&["keys", "list"]).refused(&["NOT_ALLOWED"]);

    let listed = cluster.client(&admin, &["keys", "list"]).good();
    let line = listed.out.lines().find(|line| line.contains("  ci  ")).unwrap();
    let id = line.split_whitespace().next().unwrap();
    assert!(line.contains("user") && line.contains("until 20"), "{line}");
    let revoked = cluster.client(&admin, &["keys", "revoke", id]).good();
    assert!(revoked.out.contains("revoked 20"), "{revoked:#?}");
    as_ci(&["run", "hi"]).refused(&["UNAUTHENTICATED"]);
    let bare = |args: &[&str]| Ran::of(&cluster.home.bare().args(args).output().unwrap());
    bare(&["--server", &cluster.url, "run", "hi"]).refused(&["UNAUTHENTICATED"]);
    bare(&[
        "--server",
        "http://192.0.2.1:7400",
        "--key-file",
        &ci,
        "run",
        "hi",
    ])
    .refused(&["in the clear", "https://"]);
    bare(&["--key-file", &ci, "run", "hi"]).refused(&["--server URL"]);
}

#[test]
fn one_process_may_listen_on_the_network_too_with_a_certificate() {
    let home = Home::new();
    let place = loopback();
    let made = rcgen::generate_simple_self_signed([place.to_string()]).unwrap();
    let ca = home.file("cert.pem", made.cert.pem());
    home.file("key.pem", made.signing_key.serialize_pem());
    let public = format!("listen = \"{place}:7400\"\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n");
    let config = home.file("harombe.toml", format!("[gateway.public]\n{public}"));
    let mut up = Live::start(home.harombe(["--config", &config, "up"]));
    up.wait_for(&format!("public    https://{place}:7400"));
    up.wait_for("Ctrl-C ends it");
    let client = |scheme: &str, rest: &[&str]| {
        let url = format!("{scheme}://{place}:7400");
        let mut command = home.bare();
        command.args(["--server", &url]).args(rest);
        Ran::of(&command.output().unwrap())
    };
    let key = first_key(&home, |key| {
        client("https", &["--ca", &ca, "--key-file", key, "keys", "list"])
    });
    let asked = ["--key-file", &key, "run", "hi"];
    client("https", &[&["--ca", &ca], &asked[..]].concat()).good();
    // A certificate that nobody vouches for, and no TLS at all.
    client("https", &asked).refused(&["cannot be reached"]);
    client("http", &asked).refused(&["cannot be reached"]);

    let faulty = home.file("faulty.toml", "[gateway.public]\nlisten = \"0.0.0.0:7400\"\n");
    home.run(["--config", &faulty, "up"])
        .refused(&["gateway.public.listen", "tls_cert"]);
}

#[test]
fn a_service_works_alone_on_its_folder_and_its_address() {
    let cluster = Cluster::new();
    let mut audit = cluster.serve(ServiceName::Audit);
    let again = cluster.home.run(cluster.args(&["serve", "audit"]));
    again.refused(&["another harombe works on", "audit"]);
    let all = cluster.home.run(["up"]);
    all.refused(&["another harombe works on", "--data DIR"]);
    // The same address from another directory.
    let other = cluster.home.path("other");
    let mut command = cluster.home.bare();
    command
        .arg("--data")
        .arg(&other)
        .args(cluster.args(&["serve", "audit"]));
    Ran::of(&command.output().unwrap()).refused(&["cannot listen on 127.", "network.listen.audit"]);
    audit.signal(Signal::INT);
    assert!(audit.end().success(), "{}", audit.seen);
}

#[test]
fn what_a_service_cannot_use_is_named_with_what_to_do() {
    let home = Home::new();
    home.run(["serve", "hitl"])
        .refused(&["harombe pki init DIR", "network.pki"]);
    let config = home.file("harombe.toml", "[network]\npki = \"pki\"\n");
    let serve = |service: &str| home.run(["--config", config.as_str(), "serve", service]);
    serve("hitl").refused(&["pki/hitl", "is not there", "harombe pki init"]);

    home.run(["pki", "init", "pki", "--trust-domain", "example.org"])
        .good();
    home.run(["pki", "init", "other", "--trust-domain", "example.org"])
        .good();
    let copy = |from: &str, to: &str| std::fs::copy(home.path(from), home.path(to)).unwrap();
    copy("other/hitl/ca.pem", "pki/hitl/ca.pem");
    serve("hitl").refused(&["certificate of hitl", "not issued by the CA", "ca.pem"]);
    for name in ["cert.pem", "key.pem"] {
        copy(&format!("pki/audit/{name}"), &format!("pki/memory/{name}"));
    }
    serve("memory").refused(&["certificate of memory", "it is audit's"]);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(home.path("pki/runtime/key.pem"), open).unwrap();
    serve("runtime").refused(&["key.pem", "open to others", "chmod 600"]);

    let ran = home.run(["serve", "everything"]);
    assert!(
        ran.code == Some(2) && ran.err.contains("the services are gateway, "),
        "{ran:#?}"
    );
}

#[test]
fn certificates_are_never_overwritten_and_renewed_when_asked() {
    let home = Home::new();
    home.run(["pki", "init", "pki"]).good();
    let read = |name: &str| std::fs::read(home.path(name)).unwrap();
    let (ca, hitl, audit) = (
        read("pki/ca.key"),
        read("pki/hitl/cert.pem"),
        read("pki/audit/cert.pem"),
    );
    home.run(["pki", "init", "pki"])
        .refused(&["is not empty", "nothing is overwritten", "pki renew"]);
    assert!(ca == read("pki/ca.key") && hitl == read("pki/hitl/cert.pem"));
    home.run(["pki", "renew", "pki", "hitl"]).good();
    assert!(ca == read("pki/ca.key") && hitl != read("pki/hitl/cert.pem"));
    assert!(
        audit == read("pki/audit/cert.pem"),
        "only what was named is renewed"
    );
    home.run(["pki", "renew", "elsewhere"])
        .refused(&["elsewhere/ca.pem"]);
    home.run(["pki", "init", "third", "--trust-domain", "No Domain"])
        .refused(&["trust domain", "a-z"]);
    assert!(!home.path("third").exists());
}
