//! The public door: clients on a unix socket, known by what an authenticator makes of them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::approval_service_server::ApprovalServiceServer;
use harombe_proto::runtime::v1::ListToolsRequest;
use harombe_proto::runtime::v1::runtime_service_client::RuntimeServiceClient;
use harombe_proto::runtime::v1::runtime_service_server::RuntimeServiceServer;
use harombe_rpc::{
    Authenticator, Caller, Deps, Door, GrpcChannel, InProcess, LogRefusals, Metrics, RequestExt as _, Server,
};
use harombe_types::{Person, Principal, Role, ServiceName, SystemClock};
use http::request::Parts;
use tokio::net::UnixListener;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::server::UdsConnectInfo;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::toy::Toy;
use crate::world::person;

/// Admits this process's own user, and whoever is in the process, with the roles given.
struct Owner {
    uid: u32,
    roles: Vec<Role>,
}

#[async_trait]
impl Authenticator for Owner {
    async fn authenticate(&self, parts: &Parts) -> Result<Person, Failure> {
        let cred = parts
            .extensions
            .get::<UdsConnectInfo>()
            .and_then(|info| info.peer_cred);
        let is_owner = cred.is_some_and(|cred| cred.uid() == self.uid);
        let is_inside = parts.extensions.get::<InProcess>() == Some(&InProcess(ServiceName::Client));
        if is_owner || is_inside {
            return Ok(person(&self.roles));
        }
        Err(Failure::new(
            Code::Unauthenticated,
            Reason::Unauthenticated,
            "not the owner of this socket",
        ))
    }
}

struct Gateway {
    toy: Toy,
    server: Server,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn gateway(owner: Owner) -> Gateway {
    let toy = Toy::new();
    let deps = Deps {
        metrics: Metrics::new(),
        door: Door::Public(Arc::new(owner)),
        clock: Arc::new(SystemClock),
        refusals: Arc::new(LogRefusals),
    };
    let server = Server::builder(ServiceName::Gateway, deps)
        .service(ApprovalServiceServer::new(toy.clone()))
        .service(RuntimeServiceServer::new(toy.clone()))
        .health()
        .reflection()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("harombe.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_unix(listener, CancellationToken::new()).await });
    Gateway {
        toy,
        server,
        path,
        _dir: dir,
    }
}

fn uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

async fn list(channel: GrpcChannel) -> Result<(), Failure> {
    let request = Request::new(ListRequest::default()).with_token("a token that nobody minted");
    ApprovalServiceClient::new(channel)
        .list(request)
        .await
        .map(drop)
        .map_err(Failure::from)
}

#[tokio::test]
async fn the_owner_of_the_socket_is_a_person_and_brings_no_token() {
    let gateway = gateway(Owner {
        uid: uid(),
        roles: vec![Role::Approver],
    });
    list(GrpcChannel::unix(&gateway.path).unwrap()).await.unwrap();
    list(GrpcChannel::local(&gateway.server, ServiceName::Client))
        .await
        .unwrap();
    let caller = Caller {
        service: ServiceName::Client,
        principal: Some(Principal::Person(person(&[Role::Approver]))),
    };
    assert_eq!(*gateway.toy.seen.callers.lock(), [caller.clone(), caller]);
    assert_eq!(*gateway.toy.seen.tokens.lock(), [None, None]);
}

#[tokio::test]
async fn anyone_else_is_refused() {
    let gateway = gateway(Owner {
        uid: uid() + 1,
        roles: vec![Role::Approver],
    });
    let failure = list(GrpcChannel::unix(&gateway.path).unwrap()).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (Code::Unauthenticated, Reason::Unauthenticated)
    );
    assert_eq!(gateway.toy.begun(), 0);
}

#[tokio::test]
async fn roles_hold_at_the_public_door_too() {
    let gateway = gateway(Owner {
        uid: uid(),
        roles: vec![Role::User],
    });
    let failure = list(GrpcChannel::unix(&gateway.path).unwrap()).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.reason),
        (Code::PermissionDenied, Reason::NotAllowed)
    );
}

#[tokio::test]
async fn what_services_say_among_themselves_is_not_for_clients() {
    let gateway = gateway(Owner {
        uid: uid(),
        roles: Role::ALL.to_vec(),
    });
    let channel = GrpcChannel::unix(&gateway.path).unwrap();
    let status = RuntimeServiceClient::new(channel)
        .list_tools(ListToolsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(Failure::from(status).reason, Reason::NotAllowed);
    assert_eq!(gateway.toy.begun(), 0);
}

#[tokio::test]
async fn health_and_reflection_answer_anyone() {
    let gateway = gateway(Owner {
        uid: uid() + 1,
        roles: Vec::new(),
    });
    let channel = GrpcChannel::unix(&gateway.path).unwrap();
    let health = HealthClient::new(channel.clone())
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    assert_eq!(
        health.into_inner().status,
        tonic_health::ServingStatus::Serving as i32
    );

    let long = HealthCheckRequest {
        service: "x".repeat(8192),
    };
    let refused = HealthClient::new(channel.clone()).check(long).await.unwrap_err();
    assert_eq!(Failure::from(refused).code, Code::InvalidArgument);

    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("not a list: {answer:?}");
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let expected = [
        "harombe.hitl.v1.ApprovalService",
        "harombe.runtime.v1.RuntimeService",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let failure = list(GrpcChannel::unix(&dir.path().join("none.sock")).unwrap())
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
}
