//! What a call costs at the gateway, by key and without: `cargo run --release -p harombe-gateway --example key_cost`.
//! With `HAROMBE_TEST_POSTGRES_URL`, also with keys in Postgres.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the terminal, run by hand"
)]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_gateway::{Config, Deps, Service};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{CreateKeyRequest, CreateSessionRequest, GetSessionRequest, KeyLimits};
use harombe_proto::memory::v1 as memory;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_rpc::{GrpcChannel, Metrics, RequestExt as _, TaskSet};
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::{Database, URL_VARIABLE};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{Person, Role, ServiceName, SystemClock};
use tonic::Request;

const CALLS: usize = 2000;

/// The median of many calls, one after the other.
async fn median<F: Future<Output = ()>>(what: &str, mut call: impl FnMut() -> F) {
    let mut times = Vec::with_capacity(CALLS);
    for n in 0..CALLS + CALLS / 10 {
        let begun = Instant::now();
        call().await;
        if n >= CALLS / 10 {
            times.push(begun.elapsed());
        }
    }
    times.sort_unstable();
    let at = |share: usize| times.get(CALLS * share / 100).copied().unwrap_or_default();
    println!("{what}: p50 {:?}, p99 {:?}", at(50), at(99));
}

fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

async fn by_key(what: &str, gateway: &Service) {
    let channel = GrpcChannel::local(gateway.server(), ServiceName::Client);
    let request = CreateKeyRequest {
        name: "cost".to_owned(),
        subject: "owner".to_owned(),
        roles: vec!["user".to_owned()],
        limits: Some(KeyLimits {
            requests_per_second: 1_000_000,
            ..KeyLimits::default()
        }),
        ..CreateKeyRequest::default()
    };
    let created = KeyServiceClient::new(channel.clone()).create_key(request).await;
    let key = created.unwrap().into_inner().api_key;
    let agent = AgentServiceClient::new(channel);
    let created = agent
        .clone()
        .create_session(CreateSessionRequest::default())
        .await;
    let session_id = created.unwrap().into_inner().session.unwrap().session_id;
    let get = GetSessionRequest { session_id };
    median(&format!("{what}, as the socket's owner"), || {
        let (mut agent, request) = (agent.clone(), Request::new(get.clone()));
        async move { drop(agent.get_session(request).await.unwrap()) }
    })
    .await;
    median(&format!("{what}, by key"), || {
        let (mut agent, request) = (agent.clone(), with_key(&key, get.clone()));
        async move { drop(agent.get_session(request).await.unwrap()) }
    })
    .await;
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let clock = Arc::new(SystemClock);
    let (pki, tasks) = (TestPki::new(clock.clone()), TaskSet::new());
    let data = tempfile::tempdir().unwrap();
    let sink = AuditSink::new(&pki, clock.clone());
    let deps = harombe_memory::Deps {
        clock: clock.clone(),
        metrics: Metrics::new(),
        identity: pki.identity(ServiceName::Memory),
        trail: sink.trail(ServiceName::Memory, clock.clone(), &tasks),
        data: data.path().join("memory"),
        models: data.path().join("models"),
        egress_proxy: sink.channel(ServiceName::Memory),
    };
    let memory = harombe_memory::build(harombe_memory::Config::default(), deps)
        .await
        .unwrap();
    let channel = GrpcChannel::local(memory.server(), ServiceName::Gateway);
    let deps = Deps {
        clock: clock.clone(),
        metrics: Metrics::new(),
        identity: pki.identity(ServiceName::Gateway),
        trail: sink.trail(ServiceName::Gateway, clock.clone(), &tasks),
        owner: 0,
        data: data.path().join("gateway"),
        admin_key: data.path().join("admin.key"),
        // Sessions are all that is asked for here.
        runtime: channel.clone(),
        memory: channel.clone(),
        hitl: channel.clone(),
        audit: channel.clone(),
    };
    direct(&pki, channel).await;
    let gateway = harombe_gateway::build(Config::default(), deps.clone())
        .await
        .unwrap();
    by_key("gateway on SQLite", &gateway).await;
    if std::env::var_os(URL_VARIABLE).is_some() {
        let database = Database::create().await;
        let config = Config {
            store: StoreConfig {
                postgres: Some(database.config()),
            },
            ..Config::default()
        };
        let gateway = harombe_gateway::build(config, deps).await.unwrap();
        by_key("gateway on Postgres", &gateway).await;
        gateway.shutdown(Duration::from_secs(5)).await;
    }
    gateway.shutdown(Duration::from_secs(5)).await;
    tasks.shutdown(Duration::from_secs(5)).await;
}

/// The same question to memory itself.
async fn direct(pki: &TestPki, channel: GrpcChannel) {
    let person = Person {
        roles: [Role::User].into(),
        ..harombe_testkit::person("owner")
    };
    let token = pki.person_token(&person, ServiceName::Memory);
    let sessions = ConversationServiceClient::new(channel);
    let session_id = harombe_types::SessionId::generate(&SystemClock).to_string();
    let create = memory::CreateSessionRequest {
        session_id: session_id.clone(),
        agent: "default".to_owned(),
    };
    let create = Request::new(create).with_token(&token);
    sessions.clone().create_session(create).await.unwrap();
    let get = memory::GetSessionRequest { session_id };
    median("memory itself", || {
        let (mut sessions, request) = (sessions.clone(), Request::new(get.clone()).with_token(&token));
        async move { drop(sessions.get_session(request).await.unwrap()) }
    })
    .await;
}
