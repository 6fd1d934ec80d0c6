//! Keys from the first to the last day of their use.

use std::path::PathBuf;
use std::time::Duration;

use harombe_error::{Code, Reason};
use harombe_gateway::Config;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, KeyLimits, ListAgentsRequest, ListKeysRequest,
    ListSessionsRequest, SendMessageRequest, WatchRunRequest,
};
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_rpc::{GrpcChannel, TaskSet};
use harombe_testkit::{AuditSink, Fault, NOW, holding};
use harombe_trail::Kind;
use harombe_types::{Role, ServiceName, SessionId};

use crate::network::Network;
use crate::world::{INVALID, NOT_ALLOWED, NOT_FOUND, UNKNOWN, World, key_for, refused, revoke};

const NO_AUDIT: (Code, Reason) = (Code::Unavailable, Reason::AuditUnavailable);

#[tokio::test]
async fn a_key_opens_the_door_in_its_own_name() {
    let world = World::new().await;
    let request = CreateKeyRequest {
        allow_self: true,
        ..key_for("ann", &["approver", "user"])
    };
    let created = world.keys().create_key(request).await.unwrap().into_inner();
    let (key, shown) = (created.api_key, created.key.unwrap());
    assert!(
        key.starts_with(&format!("hrb_{}_", shown.key_id)) && key.len() == 60,
        "{key}"
    );
    assert_eq!(
        (
            shown.tenant.as_str(),
            shown.subject.as_str(),
            shown.created_by.as_str()
        ),
        ("local", "ann", "local/owner")
    );
    assert_eq!(shown.roles, ["user", "approver"]);

    for network in [
        Network::new(&world.gateway).with_key(&key),
        Network::new(&world.gateway).with_header("x-api-key", &key),
    ] {
        let mut approvals = ApprovalServiceClient::new(network);
        approvals.list(ListRequest::default()).await.unwrap();
    }
    let person = world.hitl.seen.lock().last().unwrap().clone();
    assert_eq!(
        (person.tenant.as_str(), person.subject.as_str(), person.allow_self),
        ("local", "ann", true)
    );
    assert_eq!(person.roles, [Role::User, Role::Approver].into());

    let event = world.sink.of_kind(Kind::KeyCreated);
    let event = event
        .iter()
        .find(|event| event.details.contains(&shown.key_id))
        .unwrap();
    assert_eq!(
        (event.principal.as_str(), event.tenant.as_str()),
        ("person:owner", "local")
    );
    assert!(!event.details.contains(&key[17..]), "{}", event.details);
}

#[tokio::test]
async fn a_key_is_shown_once_and_kept_as_a_digest() {
    let world = World::new().await;
    let (key, id) = world.key(key_for("ann", &["user"])).await;
    let listed = world
        .keys()
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(listed.keys.iter().any(|shown| shown.key_id == id));
    let secret = &key[17..];
    assert!(!format!("{listed:?}").contains(secret));
    let folder = world.admin_key(None).parent().unwrap().join("gateway");
    assert_eq!(holding(&folder, secret), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_no_key_in_force_opens_nothing() {
    let world = World::new().await;
    let (key, id) = world.key(key_for("ann", &["user"])).await;
    let mut forged = key.clone();
    let last = if forged.ends_with('A') { 'E' } else { 'A' };
    forged.replace_range(59.., &last.to_string());
    for offered in [
        "",
        "x",
        "hrb_",
        &forged,
        &key.to_uppercase(),
        "hrb_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let listed = world
            .agent_of(offered)
            .list_sessions(ListSessionsRequest::default())
            .await;
        assert_eq!(refused(async { listed }).await, UNKNOWN, "{offered}");
    }
    let expiring = CreateKeyRequest {
        expires_at: Some(NOW.plus(Duration::from_secs(60)).into()),
        ..key_for("ann", &["user"])
    };
    let (expiring, _) = world.key(expiring).await;
    let list = async |key: &str| {
        world
            .agent_of(key)
            .list_sessions(ListSessionsRequest::default())
            .await
    };
    list(&expiring).await.unwrap();
    list(&key).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(refused(list(&expiring)).await, UNKNOWN);
    list(&key).await.unwrap();
    let revoked = world
        .keys()
        .revoke_key(revoke(&id))
        .await
        .unwrap()
        .into_inner()
        .key
        .unwrap();
    assert_eq!(revoked.revoked_by, "owner");
    assert_eq!(refused(list(&key)).await, UNKNOWN);
    let events = world.sink.of_kind(Kind::KeyRevoked);
    assert_eq!(events.len(), 1);
    assert!(events[0].details.contains(&id));
    // Again is the same.
    let again = world
        .keys()
        .revoke_key(revoke(&id))
        .await
        .unwrap()
        .into_inner()
        .key
        .unwrap();
    assert_eq!(again, revoked);
    assert_eq!(world.sink.of_kind(Kind::KeyRevoked).len(), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_are_not_made() {
    let world = World::new().await;
    let good = key_for("ann", &["user"]);
    let bad = [
        CreateKeyRequest {
            name: String::new(),
            ..good.clone()
        },
        CreateKeyRequest {
            subject: "a b".to_owned(),
            ..good.clone()
        },
        key_for("ann", &[]),
        key_for("ann", &["root"]),
        CreateKeyRequest {
            agents: vec!["default".to_owned()],
            ..key_for("ann", &["user", "admin"])
        },
        CreateKeyRequest {
            agents: vec!["no agent!".to_owned()],
            ..good.clone()
        },
        CreateKeyRequest {
            expires_at: Some(NOW.into()),
            ..good.clone()
        },
        CreateKeyRequest {
            tenant: "a/b".to_owned(),
            ..good.clone()
        },
        CreateKeyRequest {
            limits: Some(KeyLimits {
                burst: u32::MAX,
                ..KeyLimits::default()
            }),
            ..good
        },
    ];
    for request in bad {
        let name = format!("{request:?}");
        assert_eq!(refused(world.keys().create_key(request)).await, INVALID, "{name}");
    }
    assert_eq!(refused(world.keys().revoke_key(revoke("x"))).await, INVALID);
    assert_eq!(
        refused(world.keys().revoke_key(revoke("000000000000"))).await,
        NOT_FOUND
    );
    let after = ListKeysRequest {
        after_key_id: "x".to_owned(),
        ..ListKeysRequest::default()
    };
    assert_eq!(refused(world.keys().list_keys(after)).await, INVALID);
}

#[tokio::test]
async fn a_key_may_be_for_some_agents_only() {
    let world = World::new().await;
    let scoped = CreateKeyRequest {
        agents: vec!["analyst".to_owned()],
        ..key_for("ann", &["user"])
    };
    let (scoped, _) = world.key(scoped).await;
    let (whole, _) = world.key(key_for("ann", &["user"])).await;
    let (mut scoped, mut whole) = (world.agent_of(&scoped), world.agent_of(&whole));
    let with = |agent: &str| CreateSessionRequest {
        agent: agent.to_owned(),
        ..CreateSessionRequest::default()
    };
    assert_eq!(refused(scoped.create_session(with(""))).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.create_session(with("default"))).await, NOT_ALLOWED);
    let own = scoped
        .create_session(with("analyst"))
        .await
        .unwrap()
        .into_inner()
        .session
        .unwrap();
    let other = whole
        .create_session(with("default"))
        .await
        .unwrap()
        .into_inner()
        .session
        .unwrap();
    // The same person's, and still not for this key.
    let again = CreateSessionRequest {
        session_id: other.session_id.clone(),
        agent: "analyst".to_owned(),
    };
    assert!(scoped.create_session(again).await.is_err());
    let send = |session: &str, id: &str| SendMessageRequest {
        session_id: session.to_owned(),
        client_message_id: id.to_owned(),
        text: "hello".to_owned(),
        ..SendMessageRequest::default()
    };
    assert_eq!(
        refused(scoped.send_message(send(&other.session_id, "1"))).await,
        NOT_ALLOWED
    );
    scoped.send_message(send(&own.session_id, "1")).await.unwrap();
    whole.send_message(send(&other.session_id, "1")).await.unwrap();
    let run_id = world.runtime.last_seen().1.run.to_string();
    let watch = WatchRunRequest {
        run_id,
        after_cursor: 0,
    };
    assert_eq!(refused(scoped.watch_run(watch.clone())).await, NOT_ALLOWED);
    whole.watch_run(watch).await.unwrap();

    let listed = scoped
        .list_sessions(ListSessionsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let ids: Vec<_> = listed
        .sessions
        .iter()
        .map(|session| &session.session_id)
        .collect();
    assert_eq!(ids, [&own.session_id]);
    let agents = scoped
        .list_agents(ListAgentsRequest {})
        .await
        .unwrap()
        .into_inner()
        .agents;
    assert_eq!(
        agents.iter().map(|agent| &agent.name).collect::<Vec<_>>(),
        ["analyst"]
    );
}

#[tokio::test]
async fn a_scoped_list_has_no_short_page_before_its_end() {
    let world = World::new().await;
    let scoped = CreateKeyRequest {
        agents: vec!["analyst".to_owned()],
        ..key_for("ann", &["user"])
    };
    let mut scoped = world.agent_of(&world.key(scoped).await.0);
    let mut whole = world.agent_of(&world.key(key_for("ann", &["user"])).await.0);
    let mut expected = Vec::new();
    for n in 0..9 {
        world.clock.advance(Duration::from_secs(1));
        let session_id = SessionId::generate(&*world.clock).to_string();
        let agent = if n % 3 == 0 { "analyst" } else { "default" };
        if n % 3 == 0 {
            expected.insert(0, session_id.clone());
        }
        let request = CreateSessionRequest {
            session_id,
            agent: agent.to_owned(),
        };
        whole.create_session(request).await.unwrap();
    }
    let mut found = Vec::new();
    loop {
        let request = ListSessionsRequest {
            limit: 2,
            after_session_id: found.last().cloned().unwrap_or_default(),
        };
        let page = scoped.list_sessions(request).await.unwrap().into_inner().sessions;
        let short = page.len() < 2;
        found.extend(page.into_iter().map(|session| session.session_id));
        if short {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn without_audit_no_key_comes_into_force_and_revoked_ones_stay_shut() {
    let world = World::new().await;
    let (key, id) = world.key(key_for("ann", &["user"])).await;
    let (admin, _) = world.key(key_for("root", &["admin"])).await;
    world.sink.fail(Fault::Unavailable);
    let network = Network::new(&world.gateway).with_key(&admin);
    let (mut creating, mut revoking) = (
        KeyServiceClient::new(network.clone()),
        KeyServiceClient::new(network),
    );
    let (created, revoked) = tokio::join!(
        refused(creating.create_key(key_for("bob", &["admin"]))),
        refused(revoking.revoke_key(revoke(&id)))
    );
    assert_eq!((created, revoked), (NO_AUDIT, NO_AUDIT));
    let list = async |key: &str| {
        world
            .agent_of(key)
            .list_sessions(ListSessionsRequest::default())
            .await
    };
    assert_eq!(refused(list(&key)).await, UNKNOWN);
    let listed = world
        .keys()
        .list_keys(ListKeysRequest::default())
        .await
        .unwrap()
        .into_inner()
        .keys;
    assert!(listed.iter().all(|key| key.subject != "bob"), "{listed:?}");

    // Audit is back: the revocation gets its record whether or not anybody asks again.
    world.sink.fail(Fault::None);
    let revoked = world.sink.wait_for_kind(Kind::KeyRevoked).await;
    assert!(revoked.details.contains(&id));
    world.keys().revoke_key(revoke(&id)).await.unwrap();
    assert_eq!(world.sink.of_kind(Kind::KeyRevoked).len(), 1);
}

#[tokio::test]
async fn a_revocation_whose_gateway_died_gets_its_record() {
    let world = World::new().await;
    let silent = AuditSink::new(&world.pki, world.clock.clone());
    let tasks = TaskSet::new();
    let trail = silent.trail(ServiceName::Gateway, world.clock.clone(), &tasks);
    let dying = world.another_with("pair", Config::default(), trail).await;
    let channel = GrpcChannel::local(dying.server(), ServiceName::Client);
    let mut keys = KeyServiceClient::new(channel);
    let created = keys
        .create_key(key_for("ann", &["user"]))
        .await
        .unwrap()
        .into_inner();
    let id = created.key.unwrap().key_id;
    let admin = keys.create_key(key_for("root", &["admin"])).await.unwrap();
    let admin = admin.into_inner().api_key;
    silent.fail(Fault::Unavailable);
    // By a client that does not try again by itself.
    let mut keys = KeyServiceClient::new(Network::new(&dying).with_key(&admin));
    assert_eq!(refused(keys.revoke_key(revoke(&id))).await, NO_AUDIT);
    dying.shutdown(Duration::from_secs(5)).await;

    world.clock.advance(Duration::from_secs(60));
    let _next = world.another("pair", Config::default()).await;
    let revoked = world.sink.wait_for_kind(Kind::KeyRevoked).await;
    assert!(revoked.details.contains(&id));
}

#[tokio::test]
async fn redaction_leaves_the_records_of_keys_whole() {
    let world = World::new().await;
    let (_, id) = world.key(key_for("ann", &["user"])).await;
    world.keys().revoke_key(revoke(&id)).await.unwrap();
    assert!(
        world
            .agent_of("x")
            .list_sessions(ListSessionsRequest::default())
            .await
            .is_err()
    );
    for kind in [Kind::KeyCreated, Kind::KeyRevoked, Kind::LoginRefused] {
        for event in world.sink.of_kind(kind) {
            let mut details = serde_json::from_str(&event.details).unwrap();
            let found = harombe_redact::Scanner::shared().redact_json(&mut details);
            assert_eq!(found, 0, "{details}");
        }
    }
}
