use std::time::Duration;

use harombe_error::{Code, Reason};
use harombe_proto::agent::v1::{
    CreateSessionRequest, DeleteSessionRequest, GetSessionRequest, ListAgentsRequest, ListSessionsRequest,
    ListToolsRequest,
};
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::{self as memory};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_testkit::person;
use harombe_types::{InstanceId, ServiceName, SessionId, WorkspaceId};
use tonic::{Request, Status};

use crate::world::{INVALID, NOT_FOUND, World, refused};

const DELETE_SESSION: &str = "/harombe.memory.v1.ConversationService/DeleteSession";
const DELETE_WORKSPACE: &str = "/harombe.runtime.v1.RuntimeService/DeleteWorkspace";

fn id(world: &World) -> String {
    SessionId::generate(&*world.clock).to_string()
}

#[tokio::test]
async fn a_session_is_made_once_found_listed_and_erased() {
    let world = World::new().await;
    let mut agent = world.agent.clone();
    let chosen = id(&world);
    let create = CreateSessionRequest {
        session_id: chosen.clone(),
        agent: "analyst".to_owned(),
    };
    for _ in 0..2 {
        let made = agent
            .create_session(create.clone())
            .await
            .unwrap()
            .into_inner()
            .session
            .unwrap();
        assert_eq!((&made.session_id, &*made.agent), (&chosen, "analyst"));
    }
    let other = world.session().await;
    assert_eq!(other.agent, "default");
    let listed = agent
        .list_sessions(ListSessionsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .sessions;
    assert_eq!(listed.len(), 2);

    let get = GetSessionRequest {
        session_id: chosen.clone(),
    };
    assert!(agent.get_session(get.clone()).await.is_ok());
    agent
        .delete_session(DeleteSessionRequest {
            session_id: chosen.clone(),
        })
        .await
        .unwrap();
    assert_eq!(refused(agent.get_session(get)).await, NOT_FOUND);
    assert_eq!(
        refused(agent.delete_session(DeleteSessionRequest { session_id: chosen })).await,
        NOT_FOUND
    );
}

/// A session with a workspace, and that.
async fn with_workspace(world: &World) -> (String, String) {
    let session = world.session().await.session_id;
    drop(world.send(&session, "1", "hello").await.unwrap());
    let (_, run) = world.runtime.last_seen();
    let workspace = WorkspaceId::generate(InstanceId::generate(&*world.clock), &*world.clock).to_string();
    let memory = GrpcChannel::local(world.memory.server(), ServiceName::Runtime);
    let attach = memory::AttachWorkspaceRequest {
        workspace_id: workspace.clone(),
    };
    let attach = Request::new(attach).with_token(world.pki.run_token(&run));
    ConversationServiceClient::new(memory)
        .attach_workspace(attach)
        .await
        .unwrap();
    (session, workspace)
}

async fn erase(world: &World, session: &str) -> Result<(), Status> {
    let session_id = session.to_owned();
    let delete = DeleteSessionRequest { session_id };
    world.agent.clone().delete_session(delete).await.map(drop)
}

#[tokio::test]
async fn the_workspace_of_an_erased_session_goes_too() {
    let world = World::new().await;
    let (session, workspace) = with_workspace(&world).await;
    erase(&world, &session).await.unwrap();
    let (seen, run) = world.runtime.last_seen();
    assert_eq!(seen, workspace);
    assert_eq!(
        (run.session.to_string(), run.subject.as_str()),
        (session, "owner")
    );
}

#[tokio::test]
async fn a_session_that_is_not_erased_keeps_its_workspace() {
    let world = World::new().await;
    let (session, workspace) = with_workspace(&world).await;
    let before = world.runtime.seen.lock().len();
    // Memory refuses, as when a run began meanwhile; and once it is asked it cannot be reached.
    world.flaky.lose(DELETE_SESSION, usize::MAX);
    erase(&world, &session).await.unwrap_err();
    assert_eq!(world.runtime.seen.lock().len(), before);
    world.flaky.lose(DELETE_SESSION, 0);
    drop(world.send(&session, "2", "wait").await.unwrap());
    let (code, _) = refused(erase(&world, &session)).await;
    assert_eq!(code, Code::FailedPrecondition);
    assert_ne!(world.runtime.last_seen().0, workspace);
    let (_, run) = world.runtime.last_seen();
    world.runtime.finish(&run.run.to_string()).await;
    erase(&world, &session).await.unwrap();
    assert_eq!(world.runtime.last_seen().0, workspace);
}

#[tokio::test]
async fn a_workspace_whose_broker_is_away_goes_when_it_is_back() {
    let world = World::new().await;
    let (session, workspace) = with_workspace(&world).await;
    world.flaky.lose(DELETE_WORKSPACE, 12);
    erase(&world, &session).await.unwrap();
    let get = GetSessionRequest { session_id: session };
    assert_eq!(refused(world.agent.clone().get_session(get)).await, NOT_FOUND);
    while world.runtime.last_seen().0 != workspace {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.flaky.left(DELETE_WORKSPACE), 0);
}

#[tokio::test]
async fn an_agent_that_does_not_exist_gets_no_session() {
    let world = World::new().await;
    for name in ["nobody", "a b", "-"] {
        let request = CreateSessionRequest {
            session_id: String::new(),
            agent: name.to_owned(),
        };
        assert_eq!(
            refused(world.agent.clone().create_session(request)).await,
            INVALID,
            "{name}"
        );
    }
}

#[tokio::test]
async fn bad_ids_are_invalid_and_unknown_ones_not_found() {
    let world = World::new().await;
    let mut agent = world.agent.clone();
    for (session_id, expected) in [("", INVALID), ("x", INVALID), (&*id(&world), NOT_FOUND)] {
        let session_id = session_id.to_owned();
        let get = GetSessionRequest {
            session_id: session_id.clone(),
        };
        assert_eq!(refused(agent.get_session(get)).await, expected);
        let delete = DeleteSessionRequest { session_id };
        assert_eq!(refused(agent.delete_session(delete)).await, expected);
    }
    let create = CreateSessionRequest {
        session_id: "x".to_owned(),
        agent: String::new(),
    };
    assert_eq!(refused(agent.create_session(create)).await, INVALID);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_not_there() {
    let world = World::new().await;
    let memory = GrpcChannel::local(world.memory.server(), ServiceName::Gateway);
    let token = world.pki.person_token(&person("bob"), ServiceName::Memory);
    let session_id = id(&world);
    let create = memory::CreateSessionRequest {
        session_id: session_id.clone(),
        agent: "default".to_owned(),
    };
    let create = Request::new(create).with_token(token);
    ConversationServiceClient::new(memory)
        .create_session(create)
        .await
        .unwrap();

    let get = GetSessionRequest {
        session_id: session_id.clone(),
    };
    assert_eq!(refused(world.agent.clone().get_session(get)).await, NOT_FOUND);
    assert_eq!(refused(world.send(&session_id, "1", "hello")).await, NOT_FOUND);
    assert!(
        world.runtime.seen.lock().is_empty(),
        "nothing of it reached runtime"
    );
    let listed = world
        .agent
        .clone()
        .list_sessions(ListSessionsRequest::default())
        .await
        .unwrap();
    assert!(listed.into_inner().sessions.is_empty());
}

#[tokio::test]
async fn a_session_with_an_active_run_is_not_erased() {
    let world = World::new().await;
    let session_id = world.session().await.session_id;
    drop(world.send(&session_id, "1", "wait").await.unwrap());
    let (code, reason) = refused(
        world
            .agent
            .clone()
            .delete_session(DeleteSessionRequest { session_id }),
    )
    .await;
    assert_eq!(reason, Reason::SessionBusy);
    assert_eq!(code, Code::FailedPrecondition);
}

#[tokio::test]
async fn agents_and_tools_are_runtimes() {
    let world = World::new().await;
    let agents = world
        .agent
        .clone()
        .list_agents(ListAgentsRequest {})
        .await
        .unwrap()
        .into_inner()
        .agents;
    assert_eq!(
        agents.iter().map(|agent| &*agent.name).collect::<Vec<_>>(),
        ["default", "analyst"]
    );
    let tools = world
        .agent
        .clone()
        .list_tools(ListToolsRequest {})
        .await
        .unwrap()
        .into_inner()
        .tools;
    assert_eq!(
        tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(),
        ["code_execute"]
    );
}
