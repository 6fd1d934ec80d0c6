//! More than one tenant: what one has is nothing to another.

use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{
    CancelRunRequest, CreateKeyRequest, CreateSessionRequest, DeleteSessionRequest, DownloadFileRequest,
    GetRunRequest, GetSessionRequest, ListKeysRequest, ListSessionsRequest, RevokeKeyRequest,
    SendMessageRequest, UploadFileRequest, UploadStart, WatchRunRequest, upload_file_request::Frame,
};
use harombe_trail::Kind;

use crate::network::Network;
use crate::world::{NOT_ALLOWED, NOT_FOUND, World, key_for, refused};

fn in_tenant(tenant: &str, request: CreateKeyRequest) -> CreateKeyRequest {
    CreateKeyRequest {
        tenant: tenant.to_owned(),
        ..request
    }
}

fn keys(world: &World, key: &str) -> KeyServiceClient<Network> {
    KeyServiceClient::new(Network::new(&world.gateway).with_key(key))
}

#[tokio::test]
async fn another_tenants_ids_are_not_found() {
    let world = World::new().await;
    // The same name in both.
    let (ours, _) = world.key(in_tenant("acme", key_for("ann", &["user"]))).await;
    let (theirs, _) = world
        .key(in_tenant("other", key_for("ann", &["user", "admin"])))
        .await;
    let (mut ours, mut theirs) = (world.agent_of(&ours), world.agent_of(&theirs));
    let session = ours
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    let session_id = session.into_inner().session.unwrap().session_id;
    let send = SendMessageRequest {
        session_id: session_id.clone(),
        client_message_id: "1".to_owned(),
        text: "wait".to_owned(),
        ..SendMessageRequest::default()
    };
    drop(ours.send_message(send.clone()).await.unwrap());
    let run = world.runtime.last_seen().1;
    assert_eq!((run.tenant.as_str(), run.subject.as_str()), ("acme", "ann"));
    let run_id = run.run.to_string();

    let session = GetSessionRequest {
        session_id: session_id.clone(),
    };
    assert_eq!(refused(theirs.get_session(session)).await, NOT_FOUND);
    assert_eq!(refused(theirs.send_message(send)).await, NOT_FOUND);
    let get = GetRunRequest {
        run_id: run_id.clone(),
    };
    assert_eq!(refused(theirs.get_run(get)).await, NOT_FOUND);
    let cancel = CancelRunRequest {
        run_id: run_id.clone(),
    };
    assert_eq!(refused(theirs.cancel_run(cancel)).await, NOT_FOUND);
    let watch = WatchRunRequest {
        run_id,
        after_cursor: 0,
    };
    let watched = async { theirs.watch_run(watch).await?.into_inner().message().await };
    assert_eq!(refused(watched).await, NOT_FOUND);
    let call = harombe_proto::agent::v1::CallToolRequest {
        session_id: session_id.clone(),
        tool: "file_list".to_owned(),
        arguments: "{}".to_owned(),
    };
    assert_eq!(refused(theirs.call_tool(call)).await, NOT_FOUND);
    let download = DownloadFileRequest {
        session_id: session_id.clone(),
        path: "a".to_owned(),
    };
    assert_eq!(refused(theirs.download_file(download)).await, NOT_FOUND);
    let start = UploadStart {
        session_id: session_id.clone(),
        path: "a".to_owned(),
        size: 0,
        sha256: vec![0; 32].into(),
    };
    let upload = UploadFileRequest {
        frame: Some(Frame::Start(start)),
    };
    assert_eq!(
        refused(theirs.upload_file(tokio_stream::once(upload))).await,
        NOT_FOUND
    );
    let delete = DeleteSessionRequest { session_id };
    assert_eq!(refused(theirs.delete_session(delete)).await, NOT_FOUND);
    let listed = theirs
        .list_sessions(ListSessionsRequest::default())
        .await
        .unwrap();
    assert!(listed.into_inner().sessions.is_empty());
    // None of it reached runtime.
    assert_eq!(world.runtime.seen.lock().len(), 1);
}

#[tokio::test]
async fn the_operators_admins_make_keys_for_others_and_see_none_of_theirs() {
    let world = World::new().await;
    let (operator, _) = world.key(key_for("root", &["admin"])).await;
    let made = in_tenant("acme", key_for("boss", &["admin"]));
    let made = keys(&world, &operator)
        .create_key(made)
        .await
        .unwrap()
        .into_inner();
    let (boss, shown) = (made.api_key, made.key.unwrap());
    assert_eq!(
        (shown.tenant.as_str(), shown.created_by.as_str()),
        ("acme", "local/root")
    );
    let told: Vec<_> = world
        .sink
        .of_kind(Kind::KeyCreated)
        .into_iter()
        .filter(|event| event.details.contains(&shown.key_id))
        .map(|event| (event.tenant, event.principal))
        .collect();
    let text = |tenant: &str, principal: &str| (tenant.to_owned(), principal.to_owned());
    assert_eq!(told, [text("acme", "service"), text("local", "person:root")]);

    let revoke = RevokeKeyRequest {
        key_id: shown.key_id.clone(),
    };
    let mut operator = keys(&world, &operator);
    assert_eq!(refused(operator.revoke_key(revoke.clone())).await, NOT_FOUND);
    let list = |listed: harombe_proto::agent::v1::ListKeysResponse| {
        let tenants = listed.keys.into_iter().map(|key| key.tenant);
        tenants.collect::<std::collections::BTreeSet<_>>()
    };
    let listed = operator
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list(listed), ["local".to_owned()].into());

    let mut boss = keys(&world, &boss);
    let listed = boss
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list(listed), ["acme".to_owned()].into());
    boss.create_key(key_for("ann", &["user"])).await.unwrap();
    boss.create_key(in_tenant("acme", key_for("ann", &["user"])))
        .await
        .unwrap();
    for tenant in ["local", "other"] {
        let request = in_tenant(tenant, key_for("ann", &["admin"]));
        assert_eq!(refused(boss.create_key(request)).await, NOT_ALLOWED, "{tenant}");
    }
    boss.revoke_key(revoke).await.unwrap();
    assert!(boss.list_keys(ListKeysRequest::default()).await.is_err());
}

#[tokio::test]
async fn the_operators_tenant_has_the_name_that_is_configured() {
    let config = harombe_gateway::Config {
        tenant: "house".to_owned(),
        ..harombe_gateway::Config::default()
    };
    let world = World::with(config).await;
    let first = world.first_key().await;
    let created = keys(&world, &first)
        .create_key(key_for("ann", &["user"]))
        .await
        .unwrap();
    let created = created.into_inner();
    assert_eq!(created.key.unwrap().tenant, "house");
    let network = Network::new(&world.gateway).with_key(&created.api_key);
    let mut agent = AgentServiceClient::new(network);
    agent
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    // The owner of the socket is of the same tenant.
    let listed = world
        .keys()
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.keys.len(), 2);
}
