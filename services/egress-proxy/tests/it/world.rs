//! The whole service with real certificates, grants and TLS; only hitl, audit, DNS and the internet are the test's own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use harombe_canonical::{CallParts, CanonicalCall};
use harombe_egress_proxy::net::roots::Roots;
use harombe_egress_proxy::{Config, Deps, Edges, Service, build};
use harombe_error::{Failure, Reason};
use harombe_grant::{Grant, Limits, Signer};
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::egress::v1::{
    CheckRequest, CheckResponse, TunnelOpen, TunnelOpened, TunnelRequest, tunnel_request, tunnel_response,
};
use harombe_rpc::{GrpcChannel, RequestExt as _, TaskSet};
use harombe_secrets::{SealedFile, Secret, Secrets};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{CallId, GrantId, ManualClock, RunPrincipal, ServiceName};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use crate::hitl::Hitl;
use crate::server::{Authority, Detour, Server};
use crate::support::{Script, ScriptedResolver};

pub(crate) const PUBLIC: &str = "93.184.215.14";
pub(crate) const URL: &str = "https://api.allowed.test/a?b=c";
pub(crate) const GET: &str = "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n";

const POLICY: &str = r#"
trusted = ["api.allowed.test"]
[[allow]]
host = "api.allowed.test"
[[allow]]
host = "evil.allowed.test"
[[allow]]
host = "api.allowed.test"
ports = [8443]
"#;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) pki: TestPki,
    pub(crate) audit: AuditSink,
    pub(crate) hitl: Hitl,
    pub(crate) server: Server,
    pub(crate) detour: Arc<Detour>,
    pub(crate) resolver: Arc<ScriptedResolver>,
    pub(crate) service: Service,
    pub(crate) run: RunPrincipal,
    pub(crate) metrics: harombe_rpc::Metrics,
    pub(crate) secrets: SealedFile,
    pub(crate) files: tempfile::TempDir,
    trail_tasks: TaskSet,
}

/// What came back through a tunnel: everything, and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) opened: Option<TunnelOpened>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: Result<(), Failure>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn reason(&self) -> Reason {
        self.end.as_ref().expect_err("a failure").reason
    }
}

impl World {
    pub(crate) async fn new(response: impl Into<Vec<u8>>) -> Self {
        Self::with(response, |_| (), |_| ()).await
    }

    pub(crate) async fn with(
        response: impl Into<Vec<u8>>,
        configure: impl FnOnce(&mut Config),
        redirect: impl FnOnce(&mut Detour),
    ) -> Self {
        let clock = harombe_testkit::clock();
        let pki = TestPki::new(clock.clone());
        let audit = AuditSink::new(&pki, clock.clone());
        let hitl = Hitl::new(&pki, clock.clone());
        let authority = Authority::new();
        let server = Server::start(Some(authority.server("api.allowed.test", |_| ())), response).await;
        let mut detour = Detour {
            port: server.port,
            ..Detour::default()
        };
        redirect(&mut detour);
        let detour = Arc::new(detour);
        let resolver = ScriptedResolver::new([
            (
                "api.allowed.test".to_owned(),
                Script::Lookups(vec![vec![PUBLIC.parse().expect("an address")]]),
            ),
            (
                "evil.allowed.test".to_owned(),
                Script::Lookups(vec![vec![[169, 254, 169, 254].into()]]),
            ),
        ]);
        let files = tempfile::tempdir().expect("a directory");
        let policy = files.path().join("policy.toml");
        std::fs::write(&policy, POLICY).expect("written");
        let mut config = Config {
            policy: Some(policy),
            ..Config::default()
        };
        configure(&mut config);
        let trail_tasks = TaskSet::new();
        let secrets = SealedFile::new(files.path());
        let metrics = harombe_rpc::Metrics::new();
        let deps = Deps {
            metrics: metrics.clone(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::EgressProxy),
            trail: audit.trail(ServiceName::EgressProxy, clock.clone(), &trail_tasks),
            hitl: hitl.channel(),
            edges: Edges {
                resolver: resolver.clone(),
                dialer: detour.clone(),
                roots: Roots::Given(authority.roots()),
            },
            secrets: Arc::new(secrets.clone()),
        };
        let service = build(config, deps).await.expect("a service");
        let run = harombe_testkit::run("ann", &*clock);
        Self {
            clock,
            pki,
            audit,
            hitl,
            server,
            detour,
            resolver,
            service,
            run,
            metrics,
            secrets,
            files,
            trail_tasks,
        }
    }

    pub(crate) fn client(&self, caller: ServiceName) -> EgressServiceClient<GrpcChannel> {
        EgressServiceClient::new(GrpcChannel::local(self.service.server(), caller))
    }

    pub(crate) fn call(&self, args: &Value) -> CanonicalCall {
        self.call_of("web_fetch", args)
    }

    pub(crate) fn call_of(&self, tool: &str, args: &Value) -> CanonicalCall {
        CanonicalCall::new(CallParts {
            tenant: self.run.tenant.as_str(),
            agent: self.run.agent.as_str(),
            run: &self.run.run.to_string(),
            call: &CallId::generate(&*self.clock).to_string(),
            tool,
            args,
        })
        .expect("a call")
    }

    pub(crate) fn grant(&self, call: &CanonicalCall, edit: impl FnOnce(&mut Grant)) -> String {
        let now = harombe_types::Clock::now(&*self.clock);
        let mut grant = Grant {
            id: GrantId::generate(&*self.clock),
            audience: ServiceName::EgressProxy,
            not_before: now,
            expires: now.plus(Duration::from_secs(60)),
            tenant: self.run.tenant.clone(),
            subject: self.run.subject.clone(),
            agent: self.run.agent.clone(),
            session: self.run.session,
            run: self.run.run,
            call: call.call().parse().expect("an id"),
            tool: call.tool().to_owned(),
            digest: *call.digest().as_bytes(),
            policy_version: "rules".to_owned(),
            limits: Limits::default(),
            destinations: destinations(call),
            credentials: Vec::new(),
            approvers: Vec::new(),
        };
        edit(&mut grant);
        Signer::new(self.pki.identity(ServiceName::Hitl))
            .grant(&grant)
            .expect("signed")
    }

    /// Sends these frames, in the name of the run, and collects the answer.
    pub(crate) async fn send(&self, frames: Vec<TunnelRequest>) -> Answer {
        self.send_to(&self.service, frames).await
    }

    /// The same at another proxy.
    pub(crate) async fn send_to(&self, service: &Service, frames: Vec<TunnelRequest>) -> Answer {
        let mut answer = Answer {
            opened: None,
            bytes: Vec::new(),
            end: Ok(()),
        };
        let request = Request::new(tokio_stream::iter(frames)).with_token(self.pki.run_token(&self.run));
        let channel = GrpcChannel::local(service.server(), ServiceName::Runtime);
        answer.end = match EgressServiceClient::new(channel).tunnel(request).await {
            Err(status) => Err(Failure::from(status)),
            Ok(response) => collect(response.into_inner(), &mut answer).await,
        };
        answer
    }

    /// Another proxy beside the same hitl and audit. It dials nothing but its upstreams.
    pub(crate) async fn another(&self, config: Config, secrets: Arc<dyn Secrets>) -> Service {
        let deps = Deps {
            metrics: harombe_rpc::Metrics::new(),
            clock: self.clock.clone(),
            identity: self.pki.identity(ServiceName::EgressProxy),
            trail: self
                .audit
                .trail(ServiceName::EgressProxy, self.clock.clone(), &self.trail_tasks),
            hitl: self.hitl.channel(),
            edges: Edges {
                resolver: self.resolver.clone(),
                dialer: self.detour.clone(),
                roots: Roots::System,
            },
            secrets,
        };
        build(config, deps).await.expect("a service")
    }

    /// A granted fetch with these arguments, asked for by this request.
    pub(crate) async fn fetch_with(&self, args: &Value, request: &str) -> Answer {
        let call = self.call(args);
        let grant = self.grant(&call, |_| ());
        self.send(vec![open(&grant, &call), data(request)]).await
    }

    pub(crate) async fn fetch(&self) -> Answer {
        self.fetch_with(&json!({ "url": URL }), GET).await
    }

    /// Opens a tunnel and leaves it open.
    pub(crate) async fn open(
        &self,
    ) -> (
        mpsc::Sender<TunnelRequest>,
        Streaming<harombe_proto::egress::v1::TunnelResponse>,
    ) {
        let call = self.call(&json!({ "url": URL }));
        let grant = self.grant(&call, |_| ());
        let (frames, stream) = mpsc::channel(4);
        frames.send(open(&grant, &call)).await.expect("room");
        let request = Request::new(ReceiverStream::new(stream)).with_token(self.pki.run_token(&self.run));
        let answer = self
            .client(ServiceName::Runtime)
            .tunnel(request)
            .await
            .expect("a stream")
            .into_inner();
        (frames, answer)
    }

    /// One request to an upstream.
    pub(crate) async fn ask(&self, upstream: &str, request: &str) -> Answer {
        self.send(vec![open_upstream(upstream), data(request)]).await
    }

    /// A tunnel to an upstream that is spoken through piece by piece.
    pub(crate) async fn open_upstream(
        &self,
        upstream: &str,
    ) -> (
        mpsc::Sender<TunnelRequest>,
        Streaming<harombe_proto::egress::v1::TunnelResponse>,
    ) {
        let (frames, stream) = mpsc::channel(4);
        frames.send(open_upstream(upstream)).await.expect("room");
        let request = Request::new(ReceiverStream::new(stream)).with_token(self.pki.run_token(&self.run));
        let answer = self.client(ServiceName::Runtime).tunnel(request).await;
        (frames, answer.expect("a stream").into_inner())
    }

    /// Stores a credential.
    pub(crate) async fn credential(&self, name: &str, text: &str) {
        let secret = Secret::new(text.to_owned().into()).expect("a secret");
        let name = name.parse().expect("a name");
        self.secrets.set(&name, secret).await.expect("stored");
    }

    pub(crate) async fn check(&self, call: &CanonicalCall) -> Result<CheckResponse, Failure> {
        let request = CheckRequest {
            call: Bytes::copy_from_slice(call.bytes()),
        };
        let request = Request::new(request).with_token(self.pki.run_token(&self.run));
        let response = self.client(ServiceName::Runtime).check(request).await;
        response.map(tonic::Response::into_inner).map_err(Failure::from)
    }

    pub(crate) fn dialled(&self) -> usize {
        self.detour.dialled.lock().expect("a lock").len()
    }

    /// Ends the service, then its trail, so that everything noted has arrived.
    pub(crate) async fn end(self) -> AuditSink {
        self.service.shutdown(Duration::from_secs(5)).await;
        self.trail_tasks.shutdown(Duration::from_secs(5)).await;
        self.audit
    }
}

/// What hitl puts into the grant of a fetch, in its notation.
fn destinations(call: &CanonicalCall) -> Vec<String> {
    let url = call.args().get("url").and_then(Value::as_str);
    let url = url.and_then(|text| url::Url::parse(text).ok());
    let destination =
        url.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    destination.into_iter().collect()
}

async fn collect(
    mut stream: Streaming<harombe_proto::egress::v1::TunnelResponse>,
    answer: &mut Answer,
) -> Result<(), Failure> {
    while let Some(response) = stream.message().await.map_err(Failure::from)? {
        match response.frame.expect("a frame") {
            tunnel_response::Frame::Opened(opened) => answer.opened = Some(opened),
            tunnel_response::Frame::Data(data) => answer.bytes.extend_from_slice(&data),
        }
    }
    Ok(())
}

pub(crate) fn open(grant: &str, call: &CanonicalCall) -> TunnelRequest {
    let call = Bytes::copy_from_slice(call.bytes());
    let open = TunnelOpen {
        grant: grant.to_owned(),
        call,
        upstream: String::new(),
    };
    TunnelRequest {
        frame: Some(tunnel_request::Frame::Open(open)),
    }
}

pub(crate) fn open_upstream(name: &str) -> TunnelRequest {
    let open = TunnelOpen {
        upstream: name.to_owned(),
        ..TunnelOpen::default()
    };
    TunnelRequest {
        frame: Some(tunnel_request::Frame::Open(open)),
    }
}

pub(crate) fn data(bytes: &str) -> TunnelRequest {
    TunnelRequest {
        frame: Some(tunnel_request::Frame::Data(Bytes::copy_from_slice(
            bytes.as_bytes(),
        ))),
    }
}
