//! Two gateways that share a Postgres schema.

use std::time::Duration;

use harombe_error::Failure;
use harombe_gateway::{Config, Service};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, KeyLimits, ListKeysRequest, ListSessionsRequest,
    SendMessageRequest, WatchRunRequest,
};
use harombe_rpc::GrpcChannel;
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::Database;
use harombe_trail::Kind;
use harombe_types::ServiceName;
use tonic::Status;

use crate::network::Network;
use crate::world::{LIMIT, UNKNOWN, World, events, key_for, refused, revoke};

struct Pair {
    world: World,
    one: Service,
    two: Service,
    _database: Database,
}

impl Pair {
    async fn new() -> Self {
        let (world, database) = (World::new().await, Database::create().await);
        let config = Config {
            store: StoreConfig {
                postgres: Some(database.config()),
            },
            ..Config::default()
        };
        let (one, two) = tokio::join!(world.another("one", config.clone()), world.another("two", config));
        Self {
            world,
            one,
            two,
            _database: database,
        }
    }

    fn keys(gateway: &Service) -> KeyServiceClient<GrpcChannel> {
        KeyServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client))
    }

    fn agent(gateway: &Service, key: &str) -> AgentServiceClient<Network> {
        AgentServiceClient::new(Network::new(gateway).with_key(key))
    }
}

async fn list(gateway: &Service, key: &str) -> Result<(), Status> {
    let mut agent = Pair::agent(gateway, key);
    agent
        .list_sessions(ListSessionsRequest::default())
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_is_a_key_of_the_other_until_either_revokes_it() {
    let pair = Pair::new().await;
    let created = Pair::keys(&pair.one)
        .create_key(key_for("ann", &["user"]))
        .await
        .unwrap();
    let created = created.into_inner();
    let (key, key_id) = (created.api_key, created.key.unwrap().key_id);
    list(&pair.one, &key).await.unwrap();
    list(&pair.two, &key).await.unwrap();
    Pair::keys(&pair.two).revoke_key(revoke(&key_id)).await.unwrap();
    assert_eq!(refused(list(&pair.one, &key)).await, UNKNOWN);
    assert_eq!(refused(list(&pair.two, &key)).await, UNKNOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_the_other_gateway_revokes_its_key() {
    let pair = Pair::new().await;
    let created = Pair::keys(&pair.one)
        .create_key(key_for("ann", &["user"]))
        .await
        .unwrap();
    let created = created.into_inner();
    let mut agent = Pair::agent(&pair.one, &created.api_key);
    let session = agent
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    let send = SendMessageRequest {
        session_id: session.into_inner().session.unwrap().session_id,
        client_message_id: "1".to_owned(),
        text: "die".to_owned(),
        ..SendMessageRequest::default()
    };
    drop(agent.send_message(send).await.unwrap());
    let watch = WatchRunRequest {
        run_id: pair.world.runtime.last_seen().1.run.to_string(),
        after_cursor: 0,
    };
    let mut watched = agent.watch_run(watch).await.unwrap().into_inner();
    let key_id = created.key.unwrap().key_id;
    Pair::keys(&pair.two).revoke_key(revoke(&key_id)).await.unwrap();
    let ended = loop {
        match watched.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was to be refused"),
            Err(status) => break Failure::from(status),
        }
    };
    assert_eq!((ended.code, ended.reason), UNKNOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_one_for_both() {
    let pair = Pair::new().await;
    let request = CreateKeyRequest {
        limits: Some(KeyLimits {
            messages_per_day: 3,
            ..KeyLimits::default()
        }),
        ..key_for("ann", &["user"])
    };
    let created = Pair::keys(&pair.one)
        .create_key(request)
        .await
        .unwrap()
        .into_inner();
    let (mut one, mut two) = (
        Pair::agent(&pair.one, &created.api_key),
        Pair::agent(&pair.two, &created.api_key),
    );
    let session = one.create_session(CreateSessionRequest::default()).await.unwrap();
    let session_id = session.into_inner().session.unwrap().session_id;
    let send = |id: &str| SendMessageRequest {
        session_id: session_id.clone(),
        client_message_id: id.to_owned(),
        text: "hello".to_owned(),
        ..SendMessageRequest::default()
    };
    events(one.send_message(send("1")).await.unwrap().into_inner()).await;
    events(two.send_message(send("2")).await.unwrap().into_inner()).await;
    events(one.send_message(send("3")).await.unwrap().into_inner()).await;
    assert_eq!(refused(two.send_message(send("4"))).await, LIMIT);
    assert_eq!(refused(one.send_message(send("4"))).await, LIMIT);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_that_start_together_makes_the_first_key() {
    let pair = Pair::new().await;
    let mut keys = Pair::keys(&pair.one);
    let listed = loop {
        let listed = keys
            .list_keys(ListKeysRequest::default())
            .await
            .unwrap()
            .into_inner()
            .keys;
        if !listed.is_empty() {
            break listed;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(listed.len(), 1);
    let paths = [
        pair.world.admin_key(Some("one")),
        pair.world.admin_key(Some("two")),
    ];
    // The one that was not needed takes its file away again.
    let key = loop {
        let files: Vec<_> = paths
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .collect();
        if let [key] = files.as_slice() {
            break key.trim_end().to_owned();
        }
        tokio::task::yield_now().await;
    };
    for gateway in [&pair.one, &pair.two] {
        list(gateway, &key).await.unwrap();
    }
    let of_first = |details: &String| details.contains(&listed[0].key_id);
    let told = pair.world.sink.of_kind(Kind::KeyCreated);
    assert_eq!(told.iter().filter(|event| of_first(&event.details)).count(), 1);
    let Pair { one, two, .. } = pair;
    tokio::join!(
        one.shutdown(Duration::from_secs(5)),
        two.shutdown(Duration::from_secs(5))
    );
}
