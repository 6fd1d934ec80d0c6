//! The forms of the public door that are not plain gRPC.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use harombe_gateway::{Config, Public, PublicDoor};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::{CreateSessionRequest, GetSessionRequest, SendMessageRequest};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tonic::Code;
use tonic::body::Body;
use tonic_web::GrpcWebCall;
use tower::util::BoxCloneService;
use tower::{Layer as _, ServiceExt as _};

use crate::world::World;

pub(crate) async fn whole(response: Response<Body>) -> (u16, HeaderMap, Bytes) {
    let (parts, body) = response.into_parts();
    (
        parts.status.as_u16(),
        parts.headers,
        body.collect().await.unwrap().to_bytes(),
    )
}

/// A client of the door who has a key.
pub(crate) struct Caller {
    pub(crate) door: PublicDoor,
    pub(crate) key: String,
}

impl Caller {
    pub(crate) async fn new(world: &World) -> Self {
        Self {
            door: world.gateway.door(),
            key: world.first_key().await,
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.key));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        request.body(Body::new(body.to_owned())).unwrap()
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, _, body) = whole(self.door.answer(self.request(method, path, body)).await).await;
        (status, serde_json::from_slice(&body).unwrap())
    }
}

#[tokio::test]
async fn sessions_runs_and_files_over_rest() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let (status, session) = caller.ask("POST", "/v1/sessions", "").await;
    assert_eq!((status, session["agent"].as_str()), (200, Some("default")));
    let id = session["session_id"].as_str().unwrap();
    let listed = caller.ask("GET", "/v1/sessions", "").await.1;
    assert_eq!(listed["sessions"][0]["session_id"], id);

    let say = caller.request(
        "POST",
        &format!("/v1/sessions/{id}/messages"),
        r#"{"client_message_id": "1", "text": "hello"}"#,
    );
    let (status, headers, body) = whole(caller.door.answer(say).await).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let text = String::from_utf8(body.to_vec()).unwrap();
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(
        names,
        ["run_started", "text_delta", "text_finished", "run_finished"]
    );
    let run = world.runtime.last_seen().1.run.to_string();
    let watch = caller.request("GET", &format!("/v1/runs/{run}/events?after_cursor=1"), "");
    let (_, _, body) = whole(caller.door.answer(watch).await).await;
    let text = String::from_utf8(body.to_vec()).unwrap();
    let ids: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids, ["2", "3"]);
    let (_, run) = caller.ask("GET", &format!("/v1/runs/{run}"), "").await;
    assert_eq!(run["state"], "RUN_STATE_FINISHED");

    let mut put = caller.request("PUT", &format!("/v1/sessions/{id}/files/data/a.csv"), "");
    *put.body_mut() = Body::new("a,b\n1,2\n".to_owned());
    let (status, _, body) = whole(caller.door.answer(put).await).await;
    assert_eq!(
        (status, &body[..]),
        (200, &br#"{"path":"data/a.csv","size":"8"}"#[..])
    );
    assert_eq!(world.runtime.uploaded.lock().as_slice(), b"a,b\n1,2\n");
    let get = caller.request("GET", &format!("/v1/sessions/{id}/files/data/a.csv"), "");
    assert_eq!(whole(caller.door.answer(get).await).await.2, "xxxxxxx");
}

#[tokio::test]
async fn approvals_keys_and_the_log_over_rest() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    assert_eq!(
        caller
            .ask("GET", "/v1/approvals?include_decided=true", "")
            .await
            .0,
        200
    );
    let id = "01890000-0000-7000-8000-000000000000";
    let path = format!("/v1/approvals/{id}:decide");
    let decide = caller
        .ask("POST", &path, r#"{"decision": "DECISION_DENIED"}"#)
        .await;
    assert_eq!(decide.0, 200);
    assert_eq!(world.hitl.seen.lock().len(), 2);
    assert_eq!(caller.ask("GET", "/v1/audit/checkpoint", "").await.0, 200);
    let (_, keys) = caller.ask("GET", "/v1/keys", "").await;
    assert_eq!(keys["keys"][0]["name"], "admin.key");
    // Nobody writes through this door, whatever the form.
    assert_eq!(caller.ask("POST", "/v1/audit/entries", "{}").await.0, 405);
}

#[tokio::test]
async fn strangers_are_turned_away_in_every_form() {
    let world = World::new().await;
    let stranger = Caller {
        door: world.gateway.door(),
        key: "hrb_aaaaaaaaaaaa_0000000000000000000000000000000000000000000".to_owned(),
    };
    for (method, path, body) in [
        ("GET", "/v1/sessions", ""),
        ("GET", "/v1/models", ""),
        (
            "POST",
            "/v1/chat/completions",
            r#"{"model":"default","messages":[{"role":"user","content":"x"}]}"#,
        ),
        ("PUT", "/v1/sessions/s/files/a", ""),
        ("GET", "/v1/approvals:watch", ""),
    ] {
        let (status, headers, body) =
            whole(stranger.door.answer(stranger.request(method, path, body)).await).await;
        assert_eq!(
            (status, &headers["www-authenticate"]),
            (401, &"Bearer".parse().unwrap()),
            "{path}"
        );
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
}

type Web = BoxCloneService<Request<GrpcWebCall<Body>>, Response<Body>, Infallible>;

/// The door as gRPC-Web clients see it.
fn web(caller: &Caller) -> Web {
    let (door, key) = (caller.door.clone(), caller.key.clone());
    BoxCloneService::new(tower::service_fn(move |request: Request<GrpcWebCall<Body>>| {
        let door = door.clone();
        let mut request = request.map(Body::new);
        *request.version_mut() = Version::HTTP_11;
        let value = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
        async move { Ok(door.answer(request).await) }
    }))
}

#[tokio::test]
async fn grpc_web_over_http1() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let service = tonic_web::GrpcWebClientLayer::new().layer(web(&caller));
    let mut agent = AgentServiceClient::new(service);
    let created = agent
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    let session_id = created.into_inner().session.unwrap().session_id;
    let message = SendMessageRequest {
        session_id,
        client_message_id: "1".to_owned(),
        text: "hello".to_owned(),
        ..SendMessageRequest::default()
    };
    let mut events = agent.send_message(message).await.unwrap().into_inner();
    let mut count = 0;
    while events.message().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 4);
    let refused = agent
        .get_session(GetSessionRequest {
            session_id: "x".to_owned(),
        })
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn grpc_web_as_text() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let path = "/harombe.agent.v1.AgentService/ListAgents";
    let ask = |body: &str, kind: &str| {
        let mut request = caller.request("POST", path, "");
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        request.headers_mut().insert("accept", kind.parse().unwrap());
        *request.body_mut() = Body::new(body.to_owned());
        caller.door.answer(request)
    };
    let (status, headers, body) = whole(ask("AAAAAAA=", "application/grpc-web-text").await).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"application/grpc-web-text+proto".parse().unwrap())
    );
    // Pieces of base64 one after the other, each whole.
    let pieces = body
        .split_inclusive(|byte| *byte == b'=')
        .flat_map(|piece| STANDARD.decode(piece).unwrap_or_default());
    let decoded: Vec<u8> = pieces.collect();
    assert!(decoded.windows(7).any(|window| window == b"analyst"), "{body:?}");
    for bad in ["!!!!", "AAAA", ""] {
        let (status, headers, _) = whole(ask(bad, "application/grpc-web-text").await).await;
        assert!(
            status == 200 || (400..500).contains(&status),
            "{bad}: {status} {headers:?}"
        );
    }
}

#[tokio::test]
async fn grpc_itself_needs_http2() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let mut request = caller.request("POST", "/harombe.agent.v1.AgentService/ListAgents", "");
    request
        .headers_mut()
        .insert("content-type", "application/grpc+proto".parse().unwrap());
    *request.body_mut() = Body::new(http_body_util::Full::new(Bytes::from_static(&[0; 5])));
    let (status, _, body) = whole(caller.door.answer(request).await).await;
    assert_eq!(status, 505);
    assert!(String::from_utf8_lossy(&body).contains("HTTP/2"));

    let mut request = caller.request("POST", "/harombe.agent.v1.AgentService/ListAgents", "");
    request
        .headers_mut()
        .insert("content-type", "application/grpc".parse().unwrap());
    *request.version_mut() = Version::HTTP_2;
    *request.body_mut() = Body::new(http_body_util::Full::new(Bytes::from_static(&[0; 5])));
    let answer = caller.door.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/grpc");
}

#[tokio::test]
async fn pages_may_call_only_when_they_are_named() {
    let origin = "https://app.example.com";
    let world = World::with(Config {
        public: Public {
            allowed_origins: vec![origin.to_owned()],
            ..Public::default()
        },
        ..Config::default()
    })
    .await;
    let closed = World::new().await;
    let asks = |door: PublicDoor, origin: &str, method: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/v1/sessions")
            .header(ORIGIN, origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .body(Body::empty())
            .unwrap();
        async move { door.answer(request).await }
    };
    let preflight = asks(world.gateway.door(), origin, "OPTIONS").await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], origin);
    assert_eq!(
        preflight.headers()["access-control-allow-headers"],
        "authorization"
    );
    let got = asks(world.gateway.door(), origin, "GET").await;
    assert_eq!(
        (got.status(), &got.headers()[ACCESS_CONTROL_ALLOW_ORIGIN]),
        (StatusCode::UNAUTHORIZED, &origin.parse().unwrap())
    );
    for other in [
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://example.com",
        "null",
    ] {
        for method in ["OPTIONS", "GET"] {
            let answer = asks(world.gateway.door(), other, method).await;
            assert!(
                !answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN),
                "{other}"
            );
        }
    }
    let answer = asks(closed.gateway.door(), origin, "OPTIONS").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn health_says_when_a_gateway_goes() {
    let world = World::new().await;
    let ask = || async {
        let request = Request::get("/healthz").body(Body::empty()).unwrap();
        world.gateway.door().answer(request).await.status()
    };
    assert_eq!(ask().await, StatusCode::OK);
    world.gateway.server().set_serving(false);
    assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE);
}

/// Methods that clients reach, from the descriptors' auth options alone.
fn reachable() -> Vec<String> {
    let pool = DescriptorPool::decode(harombe_proto::DESCRIPTORS).unwrap();
    let auth = pool.get_extension_by_name("harombe.options.v1.auth").unwrap();
    let mut methods = Vec::new();
    for method in pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        let options = method.options();
        let auth = options.get_extension(&auth);
        let auth: harombe_proto::options::v1::Auth = auth.as_message().unwrap().transcode_to().unwrap();
        let service = method.parent_service();
        let forwarded =
            ["ApprovalService", "AuditService", "PersonalMemoryService"].contains(&service.name());
        let person = auth.principal() == harombe_proto::options::v1::PrincipalKind::Person;
        let for_gateway = forwarded && person && auth.callers.iter().any(|caller| caller == "gateway");
        if for_gateway || auth.callers.iter().any(|caller| caller == "client") {
            methods.push(format!("{}_{}", method.parent_service().name(), method.name()));
        }
    }
    methods.sort();
    methods
}

#[tokio::test]
async fn every_public_method_has_a_place_and_the_document_says_so() {
    let world = World::new().await;
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let (status, _, body) = whole(world.gateway.door().answer(request).await).await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_slice(&body).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["tags"][0] != "door" && operation["tags"][0] != "openai" {
                operations.push(operation["operationId"].as_str().unwrap().to_owned());
            }
            // And the door has it: whoever has no key is turned away, not sent on.
            let path = path.replace(['{', '}'], "");
            let method = method.to_uppercase();
            let request = Request::builder()
                .method(&*method)
                .uri(&path)
                .body(Body::empty())
                .unwrap();
            let answer = world.gateway.door().answer(request).await;
            let expected = match path.as_str() {
                "/healthz" | "/openapi.json" => StatusCode::OK,
                "/v1/audit/entries/index/proof" => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNAUTHORIZED,
            };
            assert_eq!(answer.status(), expected, "{method} {path}");
        }
    }
    operations.sort();
    assert_eq!(operations, reachable());
    let delete = document["paths"]["/v1/sessions/{session_id}"]["delete"]["description"].as_str();
    assert!(
        delete.is_some_and(|said| said.contains("Erases the session")),
        "{delete:?}"
    );
}
