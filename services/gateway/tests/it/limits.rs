//! How much a key may use, and how often strangers may knock.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use harombe_error::Failure;
use harombe_gateway::{Config, Limits};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, DownloadFileRequest, KeyLimits, ListSessionsRequest,
    SendMessageRequest, WatchRunRequest,
};
use harombe_rpc::PeerAddr;
use harombe_trail::Kind;
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;

use crate::network::Network;
use crate::world::{LIMIT, UNKNOWN, World, events, key_for, refused, revoke};

fn limited(subject: &str, limits: KeyLimits) -> CreateKeyRequest {
    CreateKeyRequest {
        limits: Some(limits),
        ..key_for(subject, &["user"])
    }
}

async fn list(agent: &mut AgentServiceClient<Network>) -> Result<(), Status> {
    agent
        .list_sessions(ListSessionsRequest::default())
        .await
        .map(drop)
}

async fn session(agent: &mut AgentServiceClient<Network>) -> String {
    let created = agent
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    created.into_inner().session.unwrap().session_id
}

/// Sends a message and follows its run to the end.
async fn run(agent: &mut AgentServiceClient<Network>, message: SendMessageRequest) -> Result<(), Status> {
    let sent = agent.send_message(message).await?;
    events(sent.into_inner()).await;
    Ok(())
}

fn message(session: &str, id: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        session_id: session.to_owned(),
        client_message_id: id.to_owned(),
        text: text.to_owned(),
        ..SendMessageRequest::default()
    }
}

#[tokio::test]
async fn a_key_that_is_too_fast_is_told_when_to_go_on() {
    let config = Config {
        limits: Limits {
            requests_per_second: 2,
            burst: 3,
            ..Limits::default()
        },
        ..Config::default()
    };
    let world = World::with(config).await;
    let (key, _) = world.key(key_for("ann", &["user"])).await;
    let mut agent = world.agent_of(&key);
    for _ in 0..3 {
        list(&mut agent).await.unwrap();
    }
    let failure = Failure::from(list(&mut agent).await.unwrap_err());
    assert_eq!((failure.code, failure.reason), LIMIT);
    let wait = failure.retry_after.unwrap();
    assert!(wait <= Duration::from_millis(500), "{wait:?}");
    world.clock.advance(wait);
    list(&mut agent).await.unwrap();
    assert_eq!(refused(list(&mut agent)).await, LIMIT);

    let own = KeyLimits {
        requests_per_second: 1,
        burst: 10,
        ..KeyLimits::default()
    };
    let mut other = world.agent_of(&world.key(limited("bob", own)).await.0);
    for _ in 0..10 {
        list(&mut other).await.unwrap();
    }
    assert_eq!(refused(list(&mut other)).await, LIMIT);
    // The owner of the socket has no limits.
    for _ in 0..20 {
        let mut agent = world.agent.clone();
        agent.list_sessions(ListSessionsRequest::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_has_so_many_streams_open() {
    let world = World::new().await;
    let own = KeyLimits {
        streams: 2,
        ..KeyLimits::default()
    };
    let mut agent = world.agent_of(&world.key(limited("ann", own)).await.0);
    let session = session(&mut agent).await;
    let sent = agent.send_message(message(&session, "1", "wait")).await.unwrap();
    let watch = WatchRunRequest {
        run_id: world.runtime.last_seen().1.run.to_string(),
        after_cursor: 0,
    };
    let watched = agent.watch_run(watch.clone()).await.unwrap();
    assert_eq!(refused(agent.watch_run(watch.clone())).await, LIMIT);
    // What is no stream is not in the way.
    list(&mut agent).await.unwrap();
    let open = world.metrics();
    assert!(open.contains("\nharombe_gateway_key_streams 2\n"), "{open}");
    drop(watched);
    let again = agent.watch_run(watch.clone()).await.unwrap();
    drop(sent);
    drop(again);
    let mut last = agent.watch_run(watch).await.unwrap().into_inner();
    assert!(last.message().await.unwrap().is_some());
}

#[tokio::test]
async fn streams_end_with_their_key() {
    let world = World::new().await;
    let (key, id) = world.key(key_for("ann", &["user"])).await;
    let mut agent = world.agent_of(&key);
    let session = session(&mut agent).await;
    let mut stream = agent
        .send_message(message(&session, "1", "die"))
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().unwrap();
    world.keys().revoke_key(revoke(&id)).await.unwrap();
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was to be refused"),
            Err(status) => break Failure::from(status),
        }
    };
    assert_eq!((ended.code, ended.reason), UNKNOWN);
}

#[tokio::test]
async fn a_days_messages_are_counted_when_they_begin_something() {
    let world = World::new().await;
    let own = KeyLimits {
        messages_per_day: 2,
        ..KeyLimits::default()
    };
    let mut agent = world.agent_of(&world.key(limited("ann", own)).await.0);
    let session = session(&mut agent).await;
    run(&mut agent, message(&session, "1", "one")).await.unwrap();
    // Again, and it is the same message; and one that is refused was none.
    run(&mut agent, message(&session, "1", "one")).await.unwrap();
    run(&mut agent, message(&session, "x", "refuse"))
        .await
        .unwrap_err();
    run(&mut agent, message(&session, "2", "two")).await.unwrap();
    let third = message(&session, "3", "three");
    let failure = Failure::from(run(&mut agent, third.clone()).await.unwrap_err());
    assert_eq!((failure.code, failure.reason), LIMIT);
    world.clock.advance(failure.retry_after.unwrap());
    run(&mut agent, third).await.unwrap();
}

#[tokio::test]
async fn a_key_begins_so_many_sessions_in_a_day() {
    let config = Config {
        limits: Limits {
            sessions_per_day: 2,
            ..Limits::default()
        },
        ..Config::default()
    };
    let world = World::with(config).await;
    let (key, _) = world.key(key_for("ann", &["user"])).await;
    let mut agent = world.agent_of(&key);
    let begin = CreateSessionRequest::default;
    let first = session(&mut agent).await;
    // What is refused was none, whoever refuses it.
    let unknown = CreateSessionRequest {
        agent: "nobody".to_owned(),
        ..begin()
    };
    agent.create_session(unknown).await.unwrap_err();
    world
        .flaky
        .lose("/harombe.memory.v1.ConversationService/CreateSession", usize::MAX);
    agent.create_session(begin()).await.unwrap_err();
    world
        .flaky
        .lose("/harombe.memory.v1.ConversationService/CreateSession", 0);
    session(&mut agent).await;
    let failure = Failure::from(agent.create_session(begin()).await.unwrap_err());
    assert_eq!((failure.code, failure.reason), LIMIT);
    assert!(
        failure.message.contains("go on in one that there is"),
        "{failure}"
    );
    // The ones that there are go on; other keys and the owner of the socket begin more.
    run(&mut agent, message(&first, "1", "hello")).await.unwrap();
    let other = world.key(key_for("bob", &["user"])).await.0;
    session(&mut world.agent_of(&other)).await;
    world.session().await;
    let limited = r#"harombe_gateway_limited_total{limit="sessions"} 1"#;
    assert!(world.metrics().contains(limited), "{}", world.metrics());
    world.clock.advance(failure.retry_after.unwrap());
    session(&mut agent).await;
}

#[tokio::test]
async fn strangers_may_knock_so_often_and_nobody_else_is_shut_out() {
    let config = Config {
        limits: Limits {
            failed_logins_per_minute: 5,
            ..Limits::default()
        },
        ..Config::default()
    };
    let world = World::with(config).await;
    let (key, _) = world.key(key_for("ann", &["user"])).await;
    let (late, _) = world.key(key_for("bob", &["user"])).await;
    let network = Network::new(&world.gateway);
    let knock = |address: &str, key: Option<&str>| {
        let network = network.clone().from(address);
        let network = match key {
            Some(key) => network.with_key(key),
            None => network,
        };
        AgentServiceClient::new(network)
    };
    list(&mut knock("192.0.2.1", Some(&key))).await.unwrap();
    let wrong = "hrb_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (n, offered) in [None, Some("x"), Some(wrong), Some(wrong)]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            refused(list(&mut knock("192.0.2.1", offered))).await,
            UNKNOWN,
            "{n}"
        );
    }
    for offered in [Some(wrong), None, Some(wrong)] {
        let failure = Failure::from(list(&mut knock("192.0.2.1", offered)).await.unwrap_err());
        assert_eq!((failure.code, failure.reason), LIMIT);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(60)));
    }
    // From the same address with a good key, one that came before and one that did not; and from another address.
    list(&mut knock("192.0.2.1", Some(&key))).await.unwrap();
    list(&mut knock("192.0.2.1", Some(&late))).await.unwrap();
    assert_eq!(refused(list(&mut knock("192.0.2.2", Some(wrong)))).await, UNKNOWN);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(refused(list(&mut knock("192.0.2.1", Some(wrong)))).await, UNKNOWN);

    let counted = world.metrics();
    for line in [
        r#"harombe_gateway_limited_total{limit="logins"} 3"#,
        r#"harombe_gateway_logins_refused_total{why="no key"} 2"#,
    ] {
        assert!(counted.contains(line), "{counted}");
    }
    let told: Vec<Value> = world
        .sink
        .of_kind(Kind::LoginRefused)
        .into_iter()
        .map(|event| serde_json::from_str(&event.details).unwrap())
        .collect();
    assert_eq!(
        told,
        [
            json!({"door": "network", "peer": "192.0.2.1", "why": "no key"}),
            json!({"door": "network", "key_id": "000000000000", "peer": "192.0.2.2", "why": "unknown"}),
            json!({"attempts": 7, "door": "network", "key_id": "000000000000", "peer": "192.0.2.1", "why": "unknown"}),
        ]
    );
}

#[tokio::test]
async fn a_refused_login_with_a_real_key_is_its_tenants_business() {
    let world = World::new().await;
    let request = CreateKeyRequest {
        tenant: "acme".to_owned(),
        ..key_for("ann", &["user", "admin"])
    };
    let created = world.keys().create_key(request).await.unwrap().into_inner();
    let network = Network::new(&world.gateway).with_key(&created.api_key);
    let mut keys = harombe_proto::agent::v1::key_service_client::KeyServiceClient::new(network);
    let key_id = created.key.unwrap().key_id;
    keys.revoke_key(revoke(&key_id)).await.unwrap();
    assert_eq!(
        refused(list(&mut world.agent_of(&created.api_key))).await,
        UNKNOWN
    );
    let event = world.sink.of_kind(Kind::LoginRefused).pop().unwrap();
    assert_eq!(event.tenant, "acme");
    assert!(event.details.contains(r#""why":"revoked""#), "{}", event.details);
}

/// A request whose body waits to be sent: answered in a task, once somebody has begun to read it.
async fn dripping(
    world: &World,
    key: &str,
    (path, kind): (&str, &str),
) -> (oneshot::Sender<&'static [u8]>, JoinHandle<Response<Body>>) {
    let (wanted, want) = oneshot::channel();
    let (send, rest) = oneshot::channel();
    let all = stream::once(async move {
        wanted.send(()).unwrap();
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(rest.await.unwrap())))
    });
    let mut request = Request::post(path)
        .version(Version::HTTP_2)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", kind)
        .body(Body::new(StreamBody::new(all)))
        .unwrap();
    let peer = PeerAddr("192.0.2.1:40000".parse().unwrap());
    request.extensions_mut().insert(peer);
    let door = world.gateway.door();
    let answer = tokio::spawn(async move { door.answer(request).await });
    want.await.unwrap();
    (send, answer)
}

#[tokio::test]
async fn a_key_has_so_many_calls_under_way() {
    let config = Config {
        limits: Limits {
            calls: 1,
            ..Limits::default()
        },
        ..Config::default()
    };
    let world = World::with(config).await;
    let (key, _) = world.key(key_for("ann", &["user"])).await;
    let (mut agent, other) = (world.agent_of(&key), world.key(key_for("bob", &["user"])).await.0);
    let mut other = world.agent_of(&other);
    let completion: &[u8] = br#"{"model": "default", "messages": [{"role": "user", "content": "hello"}]}"#;
    let calls: [(&str, &str, &[u8]); 3] = [
        (
            "/harombe.agent.v1.AgentService/ListSessions",
            "application/grpc",
            &[0; 5],
        ),
        ("/v1/sessions", "application/json", b"{}"),
        ("/v1/chat/completions", "application/json", completion),
    ];
    for (path, kind, body) in calls {
        let (send, answer) = dripping(&world, &key, (path, kind)).await;
        let failure = Failure::from(list(&mut agent).await.unwrap_err());
        assert_eq!((failure.code, failure.reason), LIMIT, "{path}");
        assert!(failure.retry_after.is_some());
        list(&mut other).await.unwrap();
        send.send(body).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200, "{path}");
        list(&mut agent).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_has_so_many_files_on_their_way() {
    let config = Config {
        limits: Limits {
            transfers: 1,
            ..Limits::default()
        },
        ..Config::default()
    };
    let world = World::with(config).await;
    let (ann, _) = world.key(key_for("ann", &["user"])).await;
    let (bob, _) = world.key(key_for("bob", &["user"])).await;
    let begin = async |agent: &mut AgentServiceClient<Network>| {
        let created = agent
            .create_session(CreateSessionRequest::default())
            .await
            .unwrap();
        created.into_inner().session.unwrap().session_id
    };
    let (mut ann, mut bob) = (world.agent_of(&ann), world.agent_of(&bob));
    let (hers, his) = (begin(&mut ann).await, begin(&mut bob).await);
    let endless = |session_id: &str| DownloadFileRequest {
        session_id: session_id.to_owned(),
        path: "endless".to_owned(),
    };
    let _open = ann.download_file(endless(&hers)).await.unwrap();
    let download = ann.download_file(endless(&hers)).await.map(drop).unwrap_err();
    let upload = ann.upload_file(tokio_stream::empty()).await.unwrap_err();
    for refusal in [download, upload] {
        let failure = Failure::from(refusal);
        assert_eq!((failure.code, failure.reason), LIMIT);
        assert!(failure.retry_after.is_some());
    }
    list(&mut ann).await.unwrap();
    bob.download_file(endless(&his)).await.unwrap();
}
