//! Erasing a person: everybody who keeps something of them is asked, in this order, until nothing is left.

mod failures;

use std::time::Duration;

use harombe_error::Failure;
use harombe_gateway::Service;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::people_service_client::PeopleServiceClient;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, ErasePersonRequest, ErasePersonResponse, ListKeysRequest,
    ListSessionsRequest, SendMessageRequest,
};
use harombe_proto::hitl::v1 as hitl;
use harombe_proto::memory::v1 as memory;
use harombe_rpc::GrpcChannel;
use harombe_trail::Kind;
use harombe_types::{InstanceId, Role, ServiceName, SessionId, WorkspaceId};

use crate::doubles::Erased;
use crate::network::Network;
use crate::web::Caller;
use crate::world::{INVALID, NOT_ALLOWED, UNKNOWN, World, key_for, refused};

fn ann() -> ErasePersonRequest {
    ErasePersonRequest {
        subject: "ann".to_owned(),
    }
}

fn people(gateway: &Service) -> PeopleServiceClient<GrpcChannel> {
    PeopleServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client))
}

fn keys(gateway: &Service) -> KeyServiceClient<GrpcChannel> {
    KeyServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client))
}

fn in_use(sessions_in_use: u64) -> memory::ErasePersonResponse {
    memory::ErasePersonResponse {
        sessions_in_use,
        more: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn everybody_is_asked_until_nothing_is_left_and_the_log_last() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let session = SessionId::generate(&*world.clock).to_string();
    let workspace = WorkspaceId::generate(InstanceId::generate(&*world.clock), &*world.clock).to_string();
    let first = memory::ErasePersonResponse {
        sessions: 2,
        memories: 40,
        workspaces: vec![memory::ErasedWorkspace {
            session_id: session.clone(),
            agent: "analyst".to_owned(),
            workspace_id: workspace.clone(),
        }],
        sessions_in_use: 1,
        more: true,
    };
    let last = memory::ErasePersonResponse {
        sessions: 1,
        memories: 2,
        ..Default::default()
    };
    let approvals = |approvals, more| Erased::Approvals(hitl::ErasePersonResponse { approvals, more });
    world.erasures.say([
        Erased::Memory(first),
        Erased::Memory(in_use(1)),
        Erased::Memory(last),
        approvals(32, true),
        approvals(1, false),
        Erased::DataKeys(1),
    ]);

    let erased = people(&gateway).erase_person(ann()).await.unwrap().into_inner();
    let expected = ErasePersonResponse {
        keys: 0,
        sessions: 3,
        memories: 42,
        workspaces: 1,
        approvals: 33,
        data_keys: 1,
    };
    assert_eq!(erased, expected);
    let (memory, hitl) = (ServiceName::Memory, ServiceName::Hitl);
    assert_eq!(
        world.erasures.services(),
        [memory, memory, memory, hitl, hitl, ServiceName::Audit]
    );
    for (service, subject, by) in &*world.erasures.asked.lock() {
        assert_eq!(
            (subject.as_str(), by.subject.as_str()),
            ("ann", "owner"),
            "{service}"
        );
        assert_eq!(by.tenant.as_str(), "local");
        assert!(by.roles.contains(&Role::Admin));
    }
    // In the name of whoever worked there, who had no other role.
    let (seen, run) = world.runtime.last_seen();
    assert_eq!(seen, workspace);
    assert_eq!(run.session.to_string(), session);
    assert_eq!(
        (run.tenant.as_str(), run.subject.as_str(), run.agent.as_str()),
        ("local", "ann", "analyst")
    );

    let again = people(&gateway).erase_person(ann()).await.unwrap().into_inner();
    assert_eq!(again, ErasePersonResponse::default());
}

#[tokio::test]
async fn their_keys_open_nothing_any_more_and_nobody_elses_is_touched() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let mut keys = keys(&gateway);
    let mut key = async |request: CreateKeyRequest| {
        let created = keys.create_key(request).await.unwrap().into_inner();
        (created.api_key, created.key.unwrap().key_id)
    };
    let elsewhere = CreateKeyRequest {
        tenant: "acme".to_owned(),
        ..key_for("ann", &["user"])
    };
    let theirs = [
        key(key_for("ann", &["user"])).await,
        key(key_for("ann", &["approver"])).await,
    ];
    let others = [key(key_for("anna", &["user"])).await, key(elsewhere).await];

    let erased = people(&gateway).erase_person(ann()).await.unwrap().into_inner();
    assert_eq!(erased.keys, 2);
    let asks = async |key: &str| {
        let network = Network::new(&gateway).with_key(key);
        let mut keys = KeyServiceClient::new(network);
        refused(keys.list_keys(ListKeysRequest::default())).await
    };
    for (key, id) in &theirs {
        assert_eq!(asks(key).await, UNKNOWN);
        let revoked = world.sink.of_kind(Kind::KeyRevoked);
        let revoked: Vec<_> = revoked
            .iter()
            .filter(|event| event.details.contains(id))
            .collect();
        assert_eq!(revoked.len(), 1, "{revoked:?}");
        assert!(revoked[0].details.contains(r#""by":"owner""#), "{revoked:?}");
    }
    for (key, _) in &others {
        assert_eq!(asks(key).await, NOT_ALLOWED);
    }
}

#[tokio::test]
async fn every_page_of_keys_is_looked_through() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let keys = keys(&gateway);
    // Newest first: hers are behind a page of others.
    for _ in 0..2 {
        keys.clone().create_key(key_for("ann", &["user"])).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(1));
    let others = (0..1000).map(|_| {
        let mut keys = keys.clone();
        async move { keys.create_key(key_for("bob", &["user"])).await.unwrap() }
    });
    futures_util::future::join_all(others).await;
    let erased = people(&gateway).erase_person(ann()).await.unwrap().into_inner();
    assert_eq!(erased.keys, 2);
}

#[tokio::test]
async fn what_they_have_open_ends() {
    let world = World::new().await;
    let (key, _) = world.key(key_for("ann", &["user"])).await;
    let mut agent = world.agent_of(&key);
    let session = agent
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap()
        .into_inner()
        .session
        .unwrap();
    let send = SendMessageRequest {
        session_id: session.session_id,
        client_message_id: "1".to_owned(),
        text: "die".to_owned(),
        ..SendMessageRequest::default()
    };
    let mut events = agent.send_message(send).await.unwrap().into_inner();
    // What memory makes of it is none of this test's: her keys go first.
    let erasing = tokio::spawn({
        let mut people = people(&world.gateway);
        async move { people.erase_person(ann()).await.map(drop) }
    });
    let ended = loop {
        match events.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was to be refused"),
            Err(status) => break Failure::from(status),
        }
    };
    assert_eq!((ended.code, ended.reason), UNKNOWN);
    assert_eq!(
        refused(agent.list_sessions(ListSessionsRequest::default())).await,
        UNKNOWN
    );
    erasing.abort();
}

#[tokio::test]
async fn a_key_does_not_erase_its_own_bearer() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let keys = keys(&gateway);
    let admin_of = async |subject: &str| {
        let created = keys
            .clone()
            .create_key(key_for(subject, &["admin"]))
            .await
            .unwrap();
        let network = Network::new(&gateway).with_key(&created.into_inner().api_key);
        PeopleServiceClient::new(network)
    };
    let mut own = admin_of("ann").await;
    assert_eq!(refused(own.erase_person(ann())).await, NOT_ALLOWED);
    assert!(world.erasures.asked.lock().is_empty());
    assert!(world.sink.of_kind(Kind::KeyRevoked).is_empty());
    let erased = admin_of("root").await.erase_person(ann()).await.unwrap();
    assert_eq!(erased.into_inner().keys, 1);
    // At the terminal one may: there is nobody to lose the key to.
    let owner = ErasePersonRequest {
        subject: "owner".to_owned(),
    };
    people(&gateway).erase_person(owner).await.unwrap();
    for bad in ["", "/ann", "ann smith", &"x".repeat(129)] {
        let request = ErasePersonRequest {
            subject: bad.to_owned(),
        };
        assert_eq!(
            refused(people(&gateway).erase_person(request)).await,
            INVALID,
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn over_rest_it_is_a_delete() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let caller = Caller {
        door: gateway.door(),
        key: keys(&gateway)
            .create_key(key_for("root", &["admin"]))
            .await
            .unwrap()
            .into_inner()
            .api_key,
    };
    world.erasures.say([
        Erased::Memory(memory::ErasePersonResponse {
            sessions: 2,
            ..Default::default()
        }),
        Erased::Approvals(hitl::ErasePersonResponse::default()),
        Erased::DataKeys(1),
    ]);
    let (status, erased) = caller.ask("DELETE", "/v1/people/ann@example.org", "").await;
    assert_eq!(status, 200, "{erased}");
    assert_eq!(erased["sessions"], "2", "{erased}");
    assert_eq!(erased["data_keys"], "1", "{erased}");
    assert_eq!(world.erasures.asked.lock()[0].1, "ann@example.org");
    let (status, told) = caller.ask("DELETE", "/v1/people/root", "").await;
    assert_eq!(status, 403, "{told}");
}
