//! A public port and those who misuse it: each gets a typed answer or its connection cut, and the others are served.

use std::time::Duration;

use harombe_rpc::{GrpcChannel, Public, PublicLimits, public_tls};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GO_AWAY, HEADERS, RESET, call, frame, hello, kinds,
};
use crate::stranger::{FOR_EVER, KEY, Port, converse, say};
use crate::toy::{Act, reached};

const LIST: &str = "/harombe.hitl.v1.ApprovalService/List";
/// Short for a test that waits for its end, and long for a client that has something to say.
const SHORT: Duration = Duration::from_secs(2);

fn impatient() -> PublicLimits {
    PublicLimits {
        greeting: SHORT,
        idle: SHORT,
        body: SHORT,
        ..PublicLimits::default()
    }
}

#[tokio::test]
async fn whoever_says_nothing_or_too_little_is_cut_off() {
    let port = Port::open(impatient(), None).await;
    let half_a_frame = [hello(), vec![0, 0, 99, HEADERS, END_HEADERS]].concat();
    let beginnings: [&[u8]; 6] = [
        b"",
        b"PR",
        b"GET / HTTP/1.1\r\nhost: a\r\nx-slow",
        b"PRI * HTTP/2.0\r\n\r\n",
        &hello(),
        &half_a_frame,
    ];
    let cut_off = beginnings.map(async |beginning| {
        let said = say(port.socket().await, beginning).await;
        assert!(!said.contains("200 OK"), "{beginning:?} was answered: {said}");
    });
    futures_util::future::join_all(cut_off).await;
    port.call().await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    let tls = public_tls(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let port = Port::open(impatient(), Some(tls)).await;
    // The beginning of a record that announces 256 bytes.
    for beginning in [&b""[..], b"\x16\x03\x01\x01\x00\x01"] {
        assert_eq!(say(port.socket().await, beginning).await, "");
    }
}

#[tokio::test]
async fn a_connection_that_idles_after_its_calls_is_closed() {
    let port = Port::open(impatient(), None).await;
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    assert!(
        say(port.socket().await, request)
            .await
            .starts_with("HTTP/1.1 200 OK")
    );
    port.toy.then(Act::Wait);
    // A call that takes longer than the limit is not idling.
    let channel = port.channel();
    let waiting = tokio::spawn(crate::stranger::list(channel));
    reached(&port.toy.seen.begun, 1).await;
    tokio::time::sleep(SHORT * 3).await;
    port.toy.gate.add_permits(1);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let port = Port::open(impatient(), None).await;
    let request = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 100\r\n\r\nhello";
    let said = say(port.socket().await, request).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.ends_with("did not come in time"), "{said}");
    let request = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert!(!say(port.socket().await, request).await.contains("200 OK"));
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let port = Port::open(PublicLimits::default(), None).await;
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(1024 * 1024));
    for headers in [many, long] {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let said = say(port.socket().await, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 431 ") || said.is_empty(), "{said}");
    }
    port.call().await.unwrap();
}

/// Headers that never end (CVE-2024-27316 and its kin), 64 MiB of them if the server takes so many.
#[tokio::test]
async fn a_flood_of_continuations_is_cut_off() {
    let port = Port::open(PublicLimits::default(), None).await;
    let mut socket = port.socket().await;
    let begin = [hello(), frame(HEADERS, END_STREAM, 1, &call(LIST, "x"))].concat();
    socket.write_all(&begin).await.unwrap();
    // A header of 16 KB that is not indexed, in pieces.
    let more = frame(CONTINUATION, 0, 1, &[0_u8; 16 * 1024]);
    let flood = async {
        for _ in 0..4096 {
            if socket.write_all(&more).await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(
        tokio::time::timeout(FOR_EVER, flood).await.unwrap(),
        "it took all"
    );
    port.call().await.unwrap();
}

/// Calls that are taken back at once (CVE-2023-44487).
#[tokio::test]
async fn rapid_resets_end_the_connection_and_nobody_elses() {
    let port = Port::open(PublicLimits::default(), None).await;
    let block = call(LIST, &format!("Bearer {KEY}"));
    let mut flood = hello();
    for number in 0..20_000 {
        let stream = number * 2 + 1;
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
        flood.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    let said = converse(port.socket().await, &flood).await;
    assert!(kinds(&said).contains(&GO_AWAY), "{:?}", kinds(&said));
    assert!(port.toy.begun() < 2000, "{} were begun", port.toy.begun());
    port.call().await.unwrap();
}

#[tokio::test]
async fn broken_frames_end_the_connection_only() {
    let port = Port::open(PublicLimits::default(), None).await;
    let block = call(LIST, &format!("Bearer {KEY}"));
    let broken = [
        // Data for a stream that nobody opened, an even stream, a frame longer than allowed, headers that do not decode.
        frame(DATA, 0, 7, b"hello"),
        frame(HEADERS, END_HEADERS | END_STREAM, 2, &block),
        frame(DATA, 0, 1, &[0; 64 * 1024]),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 64]),
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000),
    ];
    for bytes in broken {
        let said = converse(port.socket().await, &[hello(), bytes].concat()).await;
        assert!(kinds(&said).contains(&GO_AWAY), "{:?}", kinds(&said));
    }
    assert_eq!(port.toy.begun(), 0);
    port.call().await.unwrap();
}

#[tokio::test]
async fn a_truncated_message_is_the_callers_fault() {
    let port = Port::open(PublicLimits::default(), None).await;
    let bodies: [&[u8]; 4] = [
        // 100 bytes are announced; the compression flag of no compression; half a prefix; a field that breaks off.
        b"\x00\x00\x00\x00\x64abc",
        b"\x01\x00\x00\x00\x00",
        b"\x00\x00",
        b"\x00\x00\x00\x00\x02\x0a\x7f",
    ];
    for body in bodies {
        let head = format!(
            "POST {LIST} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/grpc\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let said = say(port.socket().await, &[head.as_bytes(), body].concat()).await;
        let status = said.lines().find_map(|line| line.strip_prefix("grpc-status: "));
        // INVALID_ARGUMENT
        assert_eq!(status, Some("3"), "{body:?}: {said}");
    }
    assert_eq!(port.toy.begun(), 0);
}

#[tokio::test]
async fn a_client_that_vanishes_ends_what_it_watched() {
    let port = Port::open(PublicLimits::default(), None).await;
    port.toy.then(Act::Wait);
    let watch = "/harombe.hitl.v1.ApprovalService/Watch";
    let block = call(watch, &format!("Bearer {KEY}"));
    let request = [
        hello(),
        frame(HEADERS, END_HEADERS, 1, &block),
        frame(DATA, END_STREAM, 1, &[0; 5]),
    ]
    .concat();
    let mut socket = port.socket().await;
    socket.write_all(&request).await.unwrap();
    reached(&port.toy.seen.begun, 1).await;
    drop(socket);
    reached(&port.toy.seen.dropped_streams, 1).await;
}

#[tokio::test]
async fn idle_connections_make_room_and_busy_ones_do_not() {
    let limits = PublicLimits {
        connections: 8,
        ..PublicLimits::default()
    };
    let port = Port::open(limits, None).await;
    port.toy.then(Act::Wait);
    let waiting = tokio::spawn(crate::stranger::list(port.channel()));
    reached(&port.toy.seen.begun, 1).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(port.socket().await);
        port.call().await.unwrap();
    }
    port.toy.gate.add_permits(1);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn while_all_connections_are_busy_newcomers_wait() {
    let limits = PublicLimits {
        connections: 1,
        ..PublicLimits::default()
    };
    let port = Port::open(limits, None).await;
    port.toy.then(Act::Wait);
    let busy = tokio::spawn(crate::stranger::list(port.channel()));
    reached(&port.toy.seen.begun, 1).await;
    let newcomer = tokio::spawn(crate::stranger::list(port.channel()));
    port.toy.gate.add_permits(1);
    busy.await.unwrap().unwrap();
    newcomer.await.unwrap().unwrap();
}

#[tokio::test]
async fn strangers_whose_calls_do_not_end_keep_nobody_out() {
    let limits = PublicLimits {
        connections: 2,
        ..PublicLimits::default()
    };
    let port = Port::open(limits, None).await;
    let mut watches = Vec::new();
    for _ in 0..2 {
        let stranger = GrpcChannel::public(&Public {
            uri: format!("http://{}", port.address).parse().unwrap(),
            ca: None,
            key: None,
        });
        let mut health = HealthClient::new(stranger.unwrap());
        let watch = health.watch(HealthCheckRequest::default()).await;
        let mut watch = watch.unwrap().into_inner();
        watch.message().await.unwrap().unwrap();
        watches.push(watch);
    }
    port.call().await.unwrap();
}

/// As many strangers as this process may have, up to 10,000; a fiftieth of them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_cost_what_the_limit_says() {
    let limit = 200;
    let most = open_files().saturating_sub(2000).min(10_000);
    let limits = PublicLimits {
        connections: limit,
        ..PublicLimits::default()
    };
    let port = Port::open(limits, None).await;
    let mut strangers = Vec::new();
    for number in 0..most {
        strangers.push(port.socket().await);
        if number % 1000 == 0 {
            port.call().await.unwrap();
        }
    }
    port.call().await.unwrap();
    // All but the last ones were told to go. The listen queue may hold some that are not accepted yet.
    let told = async {
        loop {
            let open = strangers.iter().filter(|socket| is_open(socket)).count();
            if open <= limit {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FOR_EVER, told)
        .await
        .expect("more than the limit stay");
    assert!(most > limit, "too few descriptors to try: {most}");
}

fn is_open(socket: &TcpStream) -> bool {
    let blocked = socket.try_read(&mut [0; 1]).map_err(|error| error.kind());
    blocked == Err(std::io::ErrorKind::WouldBlock)
}

/// How many files this process may have open.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    line.split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap_or(usize::MAX)
}

#[tokio::test]
async fn an_answer_that_is_not_read_holds_no_one_else_up() {
    let port = Port::open(PublicLimits::default(), None).await;
    let mut socket = port.socket().await;
    let body = vec![b'x'; 8 * 1024 * 1024];
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&body).await.unwrap();
    socket.read_exact(&mut [0; 16]).await.unwrap();
    port.call().await.unwrap();
}
