//! More than one tenant: what one has is nothing to another.

use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{
    CancelRunRequest, CreateKeyRequest, CreateSessionRequest, DeleteSessionRequest, DownloadFileRequest,
    GetRunRequest, GetSessionRequest, ListKeysRequest, ListSessionsRequest, RevokeKeyRequest,
    SendMessageRequest, UploadFileRequest, UploadStart, WatchRunRequest, upload_file_request::Frame,
};
use harombe_testkit::Fault;
use harombe_trail::Kind;

use crate::network::Network;
use crate::world::{NOT_ALLOWED, NOT_FOUND, UNKNOWN, World, key_for, refused, revoke};

fn in_tenant(tenant: &str, request: CreateKeyRequest) -> CreateKeyRequest {
    CreateKeyRequest {
        tenant: tenant.to_owned(),
        ..request
    }
}

fn of(tenant: &str) -> ListKeysRequest {
    ListKeysRequest {
        tenant: tenant.to_owned(),
        ..ListKeysRequest::default()
    }
}

fn revoke_in(tenant: &str, key_id: &str) -> RevokeKeyRequest {
    RevokeKeyRequest {
        tenant: tenant.to_owned(),
        ..revoke(key_id)
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
async fn the_operators_admins_make_keys_for_others_and_see_theirs_when_they_name_them() {
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

    let mut operator = keys(&world, &operator);
    assert_eq!(
        refused(operator.revoke_key(revoke(&shown.key_id))).await,
        NOT_FOUND
    );
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
    let listed = operator.list_keys(of("acme")).await.unwrap().into_inner();
    assert_eq!(list(listed), ["acme".to_owned()].into());

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
    // To them there is no other tenant.
    for tenant in ["local", "other"] {
        assert_eq!(refused(boss.list_keys(of(tenant))).await, NOT_FOUND, "{tenant}");
    }
    let (_, owners) = world.key(key_for("ann", &["user"])).await;
    assert_eq!(
        refused(boss.revoke_key(revoke_in("local", &owners))).await,
        NOT_FOUND
    );
    boss.list_keys(of("acme")).await.unwrap();
    boss.revoke_key(revoke_in("acme", &shown.key_id)).await.unwrap();
    assert!(boss.list_keys(ListKeysRequest::default()).await.is_err());
}

#[tokio::test]
async fn an_operators_admin_revokes_in_another_tenant_and_both_logs_say_so() {
    let world = World::new().await;
    let (operator, _) = world.key(key_for("root", &["admin"])).await;
    let (key, id) = world.key(in_tenant("acme", key_for("ann", &["user"]))).await;
    let mut operator = keys(&world, &operator);
    assert_eq!(
        refused(operator.revoke_key(revoke_in("other", &id))).await,
        NOT_FOUND
    );
    let enter = async || {
        let mut agent = world.agent_of(&key);
        agent.list_sessions(ListSessionsRequest::default()).await
    };
    enter().await.unwrap();
    // The log is away when it comes to the record: the key is dead, and both records come.
    world.sink.fail(Fault::Unavailable);
    assert!(operator.revoke_key(revoke_in("acme", &id)).await.is_err());
    assert_eq!(refused(enter()).await, UNKNOWN);
    world.sink.fail(Fault::None);
    let revoked = operator.revoke_key(revoke_in("acme", &id)).await.unwrap();
    assert_eq!(revoked.into_inner().key.unwrap().revoked_by, "local/root");
    operator.revoke_key(revoke_in("acme", &id)).await.unwrap();
    let told: Vec<_> = world
        .sink
        .of_kind(Kind::KeyRevoked)
        .into_iter()
        .inspect(|event| assert!(event.details.contains(&id) && event.details.contains("local/root")))
        .map(|event| (event.tenant, event.event_id))
        .collect();
    let [(own, one), (theirs, other)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((own.as_str(), theirs.as_str()), ("local", "acme"));
    assert_ne!(one, other);
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
