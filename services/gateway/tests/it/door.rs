use std::os::unix::process::CommandExt as _;
use std::process::Command;

use harombe_error::{Code, Reason};
use harombe_proto::agent::v1::ListSessionsRequest;
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_rpc::{GrpcChannel, TaskSet};
use harombe_testkit::AuditSink;
use harombe_trail::Kind;
use harombe_types::ServiceName;
use tokio::net::UnixListener;

use crate::world::{World, refused};

const SOCKET: &str = "HAROMBE_TEST_SOCKET";
const REFUSED: (Code, Reason) = (Code::Unauthenticated, Reason::Unauthenticated);

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn logins_refused(sink: &AuditSink) -> Vec<String> {
    sink.of_kind(Kind::LoginRefused)
        .into_iter()
        .map(|event| event.details)
        .collect()
}

#[tokio::test]
async fn the_sockets_owner_comes_in() {
    let world = World::with_owner(own_uid()).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("door");
    let tasks = TaskSet::new();
    let (server, listener) = (world.gateway.server().clone(), UnixListener::bind(&path).unwrap());
    let stop = tasks.token();
    tasks.spawn(async move { server.serve_unix(listener, stop).await });
    let mut agent = AgentServiceClient::new(GrpcChannel::unix(&path).unwrap());
    agent.list_sessions(ListSessionsRequest::default()).await.unwrap();
    assert!(logins_refused(&world.sink).is_empty());
}

/// Not a test: what [`somebody_else_stays_outside`] runs as another user.
#[tokio::test]
#[ignore = "run by another test"]
async fn knocks() {
    let path = std::env::var_os(SOCKET).unwrap();
    let mut agent = AgentServiceClient::new(GrpcChannel::unix(path.as_ref()).unwrap());
    assert_eq!(
        refused(agent.list_sessions(ListSessionsRequest::default())).await,
        REFUSED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_stays_outside() {
    // Root would come in anywhere, so it sends somebody else; anybody else is somebody else at another's door.
    let stranger = if own_uid() == 0 { 65534 } else { own_uid() };
    let world = World::with_owner(if own_uid() == 0 { 0 } else { own_uid() + 1 }).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("door");
    let tasks = TaskSet::new();
    let (server, listener) = (world.gateway.server().clone(), UnixListener::bind(&path).unwrap());
    open_to_all(dir.path());
    open_to_all(&path);
    let stop = tasks.token();
    tasks.spawn(async move { server.serve_unix(listener, stop).await });

    // A copy, because the build's folder may be closed to others.
    let program = dir.path().join("knocks");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command
        .args(["--exact", "door::knocks", "--ignored"])
        .env(SOCKET, &path)
        .current_dir("/");
    if own_uid() == 0 {
        command.uid(stranger).gid(stranger);
    }
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(
        logins_refused(&world.sink),
        [format!(
            r#"{{"door":"socket","uid":{stranger},"why":"stranger"}}"#
        )]
    );
}

fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

#[tokio::test]
async fn a_service_of_this_process_is_nobody_at_the_public_door() {
    let world = World::new().await;
    let mut agent = AgentServiceClient::new(GrpcChannel::local(world.gateway.server(), ServiceName::Runtime));
    for _ in 0..3 {
        assert_eq!(
            refused(agent.list_sessions(ListSessionsRequest::default())).await,
            REFUSED
        );
    }
    // Recorded once; that it went on is counted.
    assert_eq!(
        logins_refused(&world.sink),
        [r#"{"door":"socket","uid":null,"why":"stranger"}"#]
    );
    world.sink.wait_for_kind(Kind::RpcRefused).await;
}

#[tokio::test]
async fn without_audit_a_stranger_is_refused_all_the_same() {
    let world = World::new().await;
    world
        .sink
        .fail(harombe_testkit::Fault::Rejects(Kind::LoginRefused));
    let mut agent = AgentServiceClient::new(GrpcChannel::local(world.gateway.server(), ServiceName::Runtime));
    assert_eq!(
        refused(agent.list_sessions(ListSessionsRequest::default())).await,
        REFUSED
    );
}

#[tokio::test]
async fn health_and_reflection_answer_anyone() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

    let world = World::new().await;
    let channel = GrpcChannel::local(world.gateway.server(), ServiceName::Client);
    let health = HealthClient::new(channel.clone())
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    assert_eq!(health.into_inner().status, 1);

    let list = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: list,
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer: ServerReflectionResponse = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("no list of services")
    };
    let names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    for name in [
        "harombe.agent.v1.AgentService",
        "harombe.memory.v1.PersonalMemoryService",
        "harombe.hitl.v1.ApprovalService",
        "harombe.audit.v1.AuditService",
    ] {
        assert!(
            names.iter().any(|known| known == name),
            "{name} is not among {names:?}"
        );
    }
}
