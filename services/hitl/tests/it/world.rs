//! A running hitl with an audit log that tests read, and the questions its callers ask.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_error::{Failure, Reason, ServiceError as _};
use harombe_grant::{Grant, Verifier};
use harombe_hitl::{Config, Deps, Service};
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::hitl::v1::await_decision_response::Update;
use harombe_proto::hitl::v1::{
    Approval, AuthorizeRequest, AuthorizeResponse, AwaitDecisionRequest, AwaitDecisionResponse,
    DecideRequest, Decided, ListRequest, ListResponse, RedeemGrantRequest, WatchRequest, WatchResponse,
};
use harombe_proto::types::v1::{Decision, Risk};
use harombe_rpc::{GrpcChannel, Metrics, RequestExt as _, TaskSet};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{CallId, Clock as _, ManualClock, Person, RunPrincipal, ServiceName};
use serde_json::{Value, json};
use tonic::{Request, Status, Streaming};

pub(crate) const BROKER: ServiceName = ServiceName::SandboxBroker;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) pki: Arc<TestPki>,
    pub(crate) sink: AuditSink,
    pub(crate) service: Service,
    pub(crate) metrics: Metrics,
    place: Arc<Place>,
    _tasks: TaskSet,
}

/// What a process is started with, and again.
struct Place {
    config: Config,
    data: PathBuf,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Config {
            trusted_hosts: vec!["docs.example".to_owned()],
            ..Config::default()
        })
        .await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::at(config, None).await
    }

    /// With the state in `data`, if that is given.
    pub(crate) async fn at(config: Config, data: Option<PathBuf>) -> Self {
        let clock = harombe_testkit::clock();
        let pki = Arc::new(TestPki::new(clock.clone()));
        let sink = AuditSink::new(&pki, clock.clone());
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            config,
            data: data.unwrap_or_else(|| dir.path().join("hitl")),
            _dir: dir,
        };
        Self::start(clock, pki, sink, Arc::new(place)).await
    }

    /// A second process beside this one, on the same server; each may go without the other.
    pub(crate) async fn replica(&self) -> Self {
        self.replica_with(Arc::clone(&self.clock)).await
    }

    /// One with a clock of its own.
    pub(crate) async fn replica_with(&self, clock: Arc<ManualClock>) -> Self {
        let (pki, sink, place) = (Arc::clone(&self.pki), self.sink.clone(), Arc::clone(&self.place));
        Self::start(clock, pki, sink, place).await
    }

    /// Another process on the same data.
    pub(crate) async fn restarted(self) -> Self {
        self.service.shutdown(Duration::from_secs(5)).await;
        Self::start(self.clock, self.pki, self.sink, self.place).await
    }

    async fn start(clock: Arc<ManualClock>, pki: Arc<TestPki>, sink: AuditSink, place: Arc<Place>) -> Self {
        let (tasks, metrics) = (TaskSet::new(), Metrics::new());
        let deps = Deps {
            metrics: metrics.clone(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::Hitl),
            trail: sink.trail(ServiceName::Hitl, clock.clone(), &tasks),
            data: place.data.clone(),
        };
        let service = harombe_hitl::build(place.config.clone(), deps).await.unwrap();
        Self {
            clock,
            pki,
            sink,
            service,
            metrics,
            place,
            _tasks: tasks,
        }
    }

    pub(crate) fn run(&self, subject: &str) -> RunPrincipal {
        harombe_testkit::run(subject, &*self.clock)
    }

    pub(crate) fn call(&self, run: &RunPrincipal, tool: &str, args: &Value) -> CanonicalCall {
        call_with_id(run, &CallId::generate(&*self.clock).to_string(), tool, args)
    }

    /// A call that waits for a person.
    pub(crate) fn python(&self, run: &RunPrincipal) -> CanonicalCall {
        self.call(
            run,
            "code_execute",
            &json!({ "language": "python", "code": "print(1)" }),
        )
    }

    /// A call that is granted at once.
    pub(crate) fn file_list(&self, run: &RunPrincipal) -> CanonicalCall {
        self.call(run, "file_list", &json!({ "path": "." }))
    }

    pub(crate) fn authorizations(&self, as_: ServiceName) -> AuthorizationServiceClient<GrpcChannel> {
        AuthorizationServiceClient::new(GrpcChannel::local(self.service.server(), as_))
    }

    pub(crate) fn approvals(&self) -> ApprovalServiceClient<GrpcChannel> {
        ApprovalServiceClient::new(GrpcChannel::local(self.service.server(), ServiceName::Gateway))
    }

    pub(crate) async fn authorize_bytes(
        &self,
        run: &RunPrincipal,
        call: Vec<u8>,
        risk: Risk,
    ) -> Result<AuthorizeResponse, Status> {
        let request = AuthorizeRequest {
            call: call.into(),
            model_risk: risk.into(),
        };
        let request = Request::new(request).with_token(self.pki.run_token(run));
        self.authorizations(ServiceName::Runtime)
            .authorize(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn authorize(
        &self,
        run: &RunPrincipal,
        call: &CanonicalCall,
    ) -> Result<AuthorizeResponse, Status> {
        self.authorize_bytes(run, call.bytes().to_vec(), Risk::Unspecified)
            .await
    }

    /// The grant of a call that is granted at once.
    pub(crate) async fn granted(&self, run: &RunPrincipal, call: &CanonicalCall) -> String {
        match self.authorize(run, call).await.unwrap().outcome {
            Some(Outcome::Granted(granted)) => granted.grant,
            other => panic!("not granted: {other:?}"),
        }
    }

    /// The approval id of a call that waits.
    pub(crate) async fn pending(&self, run: &RunPrincipal, call: &CanonicalCall) -> String {
        match self.authorize(run, call).await.unwrap().outcome {
            Some(Outcome::Pending(pending)) => pending.approval_id,
            other => panic!("not pending: {other:?}"),
        }
    }

    pub(crate) async fn decide(
        &self,
        person: &Person,
        approval_id: &str,
        decision: Decision,
    ) -> Result<Approval, Status> {
        let request = DecideRequest {
            approval_id: approval_id.to_owned(),
            decision: decision.into(),
            unattended: true,
            comment: "seen".to_owned(),
        };
        let request = Request::new(request).with_token(self.pki.person_token(person, ServiceName::Hitl));
        let response = self.approvals().decide(request).await?;
        Ok(response.into_inner().approval.unwrap())
    }

    pub(crate) async fn list(&self, person: &Person, include_decided: bool) -> Vec<Approval> {
        let request = ListRequest {
            include_decided,
            ..ListRequest::default()
        };
        self.page(person, request).await.unwrap().approvals
    }

    pub(crate) async fn page(&self, person: &Person, request: ListRequest) -> Result<ListResponse, Status> {
        let request = Request::new(request).with_token(self.pki.person_token(person, ServiceName::Hitl));
        self.approvals()
            .list(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn watch(&self, person: &Person) -> Streaming<WatchResponse> {
        let request =
            Request::new(WatchRequest {}).with_token(self.pki.person_token(person, ServiceName::Hitl));
        self.approvals().watch(request).await.unwrap().into_inner()
    }

    pub(crate) async fn await_decision(
        &self,
        run: &RunPrincipal,
        approval_id: &str,
    ) -> Result<Streaming<AwaitDecisionResponse>, Status> {
        let request = AwaitDecisionRequest {
            approval_id: approval_id.to_owned(),
        };
        let request = Request::new(request).with_token(self.pki.run_token(run));
        let response = self
            .authorizations(ServiceName::Runtime)
            .await_decision(request)
            .await?;
        Ok(response.into_inner())
    }

    /// The decision that a run gets which asks now.
    pub(crate) async fn decision(&self, run: &RunPrincipal, approval_id: &str) -> Decided {
        let mut stream = self.await_decision(run, approval_id).await.unwrap();
        until_decided(&mut stream).await
    }

    pub(crate) async fn redeem(
        &self,
        as_: ServiceName,
        grant: &str,
        call: &CanonicalCall,
    ) -> Result<String, Status> {
        let call_digest = call.digest().as_bytes().to_vec().into();
        let request = RedeemGrantRequest {
            grant: grant.to_owned(),
            call_digest,
        };
        let response = self.authorizations(as_).redeem_grant(request).await?;
        Ok(response.into_inner().lease)
    }

    pub(crate) fn verified(&self, grant: &str, audience: ServiceName) -> Grant {
        Verifier::new(self.pki.roots().clone())
            .grant(grant, audience, self.clock.now())
            .unwrap()
    }
}

pub(crate) fn call_with_id(run: &RunPrincipal, call: &str, tool: &str, args: &Value) -> CanonicalCall {
    let parts = CallParts {
        tenant: run.tenant.as_str(),
        agent: run.agent.as_str(),
        run: &run.run.to_string(),
        call,
        tool,
        args,
    };
    CanonicalCall::new(parts).unwrap()
}

/// Somebody who may approve what others' runs ask for.
pub(crate) fn approver() -> Person {
    harombe_testkit::person("bob")
}

pub(crate) async fn until_decided(stream: &mut Streaming<AwaitDecisionResponse>) -> Decided {
    while let Some(response) = stream.message().await.unwrap() {
        if let Some(Update::Decided(decided)) = response.update {
            return decided;
        }
    }
    panic!("the stream ended without a decision");
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> Reason {
    Failure::from(result.unwrap_err()).reason()
}

pub(crate) fn details(event: &harombe_proto::audit::v1::Event) -> Value {
    serde_json::from_str(&event.details).unwrap()
}
