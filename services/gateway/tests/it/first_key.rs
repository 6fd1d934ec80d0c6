//! The first key of an installation: made once, and kept as it was written.

use std::time::Duration;

use harombe_error::{Code, Failure};
use harombe_gateway::Config;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{ListKeysRequest, ListSessionsRequest};
use harombe_rpc::GrpcChannel;
use harombe_types::ServiceName;

use crate::network::Network;
use crate::world::{World, key_for};

#[tokio::test]
async fn the_first_start_makes_the_first_key() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = World::new().await;
    let first = world.first_key().await;
    let path = world.admin_key(None);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut keys = KeyServiceClient::new(Network::new(&world.gateway).with_key(&first));
    let listed = keys
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner()
        .keys;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].roles, ["user", "approver", "auditor", "admin"]);
    assert!(!listed[0].allow_self);
    keys.create_key(key_for("ann", &["user"])).await.unwrap();
}

#[tokio::test]
async fn a_later_start_makes_none() {
    let world = World::new().await;
    world.first_key().await;
    let again = world.restarted().await;
    // Whatever it did at its start is done once a key that is made after it can be used.
    let mut keys = KeyServiceClient::new(GrpcChannel::local(again.server(), ServiceName::Client));
    let created = keys
        .create_key(key_for("ann", &["user"]))
        .await
        .unwrap()
        .into_inner();
    let mut agent = harombe_proto::agent::v1::agent_service_client::AgentServiceClient::new(
        Network::new(&again).with_key(&created.api_key),
    );
    agent.list_sessions(ListSessionsRequest::default()).await.unwrap();
    let listed = keys
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.keys.len(), 2);
    again.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_first_key_that_was_only_written_comes_into_force() {
    let world = World::new().await;
    // As a gateway leaves it that dies before its store has it.
    let (written, id) = world.key(key_for("ann", &["user"])).await;
    let path = world.admin_key(Some("fresh"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("{written}\n")).unwrap();
    let fresh = world.another("fresh", Config::default()).await;
    let mut keys = KeyServiceClient::new(Network::new(&fresh).with_key(&written));
    let listed = loop {
        match keys.list_keys(ListKeysRequest::default()).await {
            Ok(listed) => break listed.into_inner().keys,
            Err(status) => assert_eq!(Failure::from(status).code, Code::Unauthenticated),
        }
        // Each try is a failed login; the clock stands still, and the limit must not be what is met.
        world.clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    };
    assert_eq!(listed.iter().map(|key| &key.key_id).collect::<Vec<_>>(), [&id]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{written}\n"));
}

#[tokio::test]
async fn what_is_no_key_is_left_where_it_is() {
    let world = World::new().await;
    let path = world.admin_key(Some("fresh"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "mine").unwrap();
    let fresh = world.another("fresh", Config::default()).await;
    let keys = GrpcChannel::local(fresh.server(), ServiceName::Client);
    let listed = KeyServiceClient::new(keys)
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap();
    assert!(listed.into_inner().keys.is_empty());
    fresh.shutdown(Duration::from_secs(5)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
