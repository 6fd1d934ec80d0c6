//! The service under test, a hitl that signs real grants and spends them once, and an audit log to read.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harombe_canonical::{CallParts, CanonicalCall};
use harombe_error::{Code, Failure, Reason};
use harombe_grant::{Grant, Lease, Limits, Signer, Verifier};
use harombe_proto::hitl::v1 as hitl;
use harombe_proto::hitl::v1::authorization_service_server::{
    AuthorizationService, AuthorizationServiceServer,
};
use harombe_proto::sandbox::v1 as proto;
use harombe_proto::sandbox::v1::execute_response::Frame;
use harombe_proto::sandbox::v1::sandbox_service_client::SandboxServiceClient;
use harombe_rpc::{GrpcChannel, LogRefusals, Metrics, RequestExt, Server, TaskSet};
use harombe_sandbox_broker::{Config, Deps, Service, build};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{CallId, Clock, GrantId, LeaseId, ManualClock, RunPrincipal, ServiceName};
use parking_lot::Mutex;
use serde_json::Value;
use tonic::{Request, Response, Status};

pub(crate) type Client = SandboxServiceClient<GrpcChannel>;

pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) pki: TestPki,
    pub(crate) sink: AuditSink,
    pub(crate) hitl: Arc<Hitl>,
    pub(crate) metrics: Metrics,
    pub(crate) service: Service,
    pub(crate) run: RunPrincipal,
    pub(crate) data: tempfile::TempDir,
    _trail: TaskSet,
}

/// What an execution came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) finished: proto::ExecutionFinished,
}

/// Redeems as hitl does: verified, once for each call.
pub(crate) struct Hitl {
    signer: Signer,
    verifier: Verifier,
    clock: Arc<ManualClock>,
    spent: Mutex<HashSet<CallId>>,
    pub(crate) absent: AtomicBool,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let clock = harombe_testkit::clock();
        let pki = TestPki::new(clock.clone());
        let sink = AuditSink::new(&pki, clock.clone());
        let trail_tasks = TaskSet::new();
        let trail = sink.trail(ServiceName::SandboxBroker, clock.clone(), &trail_tasks);
        let hitl = Arc::new(Hitl {
            signer: Signer::new(pki.identity(ServiceName::Hitl)),
            verifier: Verifier::new(pki.roots().clone()),
            clock: clock.clone(),
            spent: Mutex::default(),
            absent: AtomicBool::new(false),
        });
        let rpc = harombe_rpc::Deps {
            metrics: Metrics::new(),
            door: pki.door(),
            clock: clock.clone(),
            refusals: Arc::new(LogRefusals),
        };
        let server = Server::builder(ServiceName::Hitl, rpc)
            .service(AuthorizationServiceServer::from_arc(hitl.clone()))
            .build()
            .unwrap();
        let data = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let deps = Deps {
            metrics: metrics.clone(),
            clock: clock.clone(),
            identity: pki.identity(ServiceName::SandboxBroker),
            trail,
            data: data.path().join("broker"),
            hitl: GrpcChannel::local(&server, ServiceName::SandboxBroker),
        };
        let service = build(config, deps).await.unwrap();
        // Otherwise a short test would remove the directory while the driver is being set up in it.
        let _ = service.isolation().await;
        let run = harombe_testkit::run("alice", &*clock);
        Self {
            clock,
            pki,
            sink,
            hitl,
            metrics,
            service,
            run,
            data,
            _trail: trail_tasks,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_as(ServiceName::Runtime)
    }

    pub(crate) fn client_as(&self, caller: ServiceName) -> Client {
        SandboxServiceClient::new(GrpcChannel::local(self.service.server(), caller))
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.request_of(&self.run, message)
    }

    pub(crate) fn request_of<T>(&self, run: &RunPrincipal, message: T) -> Request<T> {
        Request::new(message)
            .with_token(self.pki.run_token(run))
            .with_deadline(Duration::from_secs(120))
    }

    pub(crate) fn call(&self, tool: &str, args: &Value) -> CanonicalCall {
        let run = &self.run;
        CanonicalCall::new(CallParts {
            tenant: run.tenant.as_str(),
            agent: run.agent.as_str(),
            run: &run.run.to_string(),
            call: &CallId::generate(&*self.clock).to_string(),
            tool,
            args,
        })
        .unwrap()
    }

    /// The grant that hitl would give for the call.
    pub(crate) fn grant(&self, call: &CanonicalCall) -> Grant {
        let run = &self.run;
        Grant {
            id: GrantId::generate(&*self.clock),
            audience: ServiceName::SandboxBroker,
            not_before: self.clock.now(),
            expires: self.clock.now().plus(Duration::from_secs(60)),
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
            agent: run.agent.clone(),
            session: run.session,
            run: run.run,
            call: call.call().parse().unwrap(),
            tool: call.tool().to_owned(),
            digest: *call.digest().as_bytes(),
            policy_version: "test".to_owned(),
            limits: Limits::default(),
            destinations: Vec::new(),
            credentials: Vec::new(),
            approvers: Vec::new(),
        }
    }

    pub(crate) fn permission(&self, grant: &Grant, call: &CanonicalCall) -> Option<proto::Permission> {
        let grant = self.hitl.signer.grant(grant).unwrap();
        Some(proto::Permission {
            grant,
            call: Bytes::copy_from_slice(call.bytes()),
        })
    }

    /// Permission for a new call.
    pub(crate) fn permitted(&self, tool: &str, args: &Value) -> Option<proto::Permission> {
        let call = self.call(tool, args);
        self.permission(&self.grant(&call), &call)
    }

    pub(crate) async fn workspace(&self) -> String {
        let request = self.request(proto::OpenWorkspaceRequest::default());
        self.client()
            .open_workspace(request)
            .await
            .unwrap()
            .into_inner()
            .workspace_id
    }

    pub(crate) async fn execute(
        &self,
        permission: Option<proto::Permission>,
        workspace: &str,
    ) -> Result<Ran, Status> {
        let message = proto::ExecuteRequest {
            permission,
            workspace_id: workspace.to_owned(),
        };
        let mut stream = self.client().execute(self.request(message)).await?.into_inner();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut started = false;
        while let Some(response) = stream.message().await? {
            match response.frame.unwrap() {
                Frame::Started(frame) => {
                    assert_eq!(frame.isolation, "gvisor");
                    started = true;
                }
                Frame::Output(output) => {
                    assert!(started);
                    let to = if output.stream() == harombe_proto::types::v1::OutputStream::Stderr {
                        &mut err
                    } else {
                        &mut out
                    };
                    to.extend_from_slice(&output.data);
                }
                Frame::Finished(finished) => {
                    assert!(stream.message().await?.is_none());
                    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                    return Ok(Ran {
                        out: text(out),
                        err: text(err),
                        finished,
                    });
                }
            }
        }
        panic!("the stream ended without a last frame");
    }

    /// Runs Python with a new grant in the session's workspace.
    pub(crate) async fn python(&self, code: &str) -> Result<Ran, Status> {
        let args = serde_json::json!({ "language": "python", "code": code });
        let workspace = self.workspace().await;
        self.execute(self.permitted("code_execute", &args), &workspace)
            .await
    }

    pub(crate) async fn write(
        &self,
        permission: Option<proto::Permission>,
        workspace: &str,
        data: &[&[u8]],
    ) -> Result<u64, Status> {
        let start = proto::WriteFileStart {
            permission,
            workspace_id: workspace.to_owned(),
        };
        let frames: Vec<_> = std::iter::once(proto::write_file_request::Frame::Start(start))
            .chain(
                data.iter()
                    .map(|part| proto::write_file_request::Frame::Data(Bytes::copy_from_slice(part))),
            )
            .map(|frame| proto::WriteFileRequest { frame: Some(frame) })
            .collect();
        let response = self
            .client()
            .write_file(self.request(tokio_stream::iter(frames)))
            .await?;
        Ok(response.into_inner().size)
    }

    pub(crate) async fn read(
        &self,
        permission: Option<proto::Permission>,
        workspace: &str,
    ) -> Result<Vec<u8>, Status> {
        let message = proto::ReadFileRequest {
            permission,
            workspace_id: workspace.to_owned(),
        };
        let mut stream = self.client().read_file(self.request(message)).await?.into_inner();
        let mut data = Vec::new();
        while let Some(response) = stream.message().await? {
            data.extend_from_slice(&response.data);
        }
        Ok(data)
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.sink.events().into_iter().map(|event| event.kind).collect()
    }

    pub(crate) fn spent(&self) -> usize {
        self.hitl.spent.lock().len()
    }

    /// The directory of the workspace on the host.
    pub(crate) fn directory(&self, workspace: &str) -> std::path::PathBuf {
        let id = workspace.split_once('.').unwrap().1;
        self.data.path().join("broker/workspaces").join(id)
    }
}

pub(crate) fn reason(status: &Status) -> Reason {
    Failure::from(status).reason
}

/// A program that is called runsc and is none.
pub(crate) fn old_runsc(directory: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("runsc");
    std::fs::write(&path, "#!/bin/sh\necho 'platforms: ptrace, kvm'\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tonic::async_trait]
impl AuthorizationService for Hitl {
    type AwaitDecisionStream = tokio_stream::Empty<Result<hitl::AwaitDecisionResponse, Status>>;

    async fn authorize(
        &self,
        _: Request<hitl::AuthorizeRequest>,
    ) -> Result<Response<hitl::AuthorizeResponse>, Status> {
        Err(Status::unimplemented("the broker does not ask for grants"))
    }

    async fn await_decision(
        &self,
        _: Request<hitl::AwaitDecisionRequest>,
    ) -> Result<Response<Self::AwaitDecisionStream>, Status> {
        Err(Status::unimplemented("the broker does not wait for decisions"))
    }

    async fn redeem_grant(
        &self,
        request: Request<hitl::RedeemGrantRequest>,
    ) -> Result<Response<hitl::RedeemGrantResponse>, Status> {
        if self.absent.load(Ordering::SeqCst) {
            return Err(Status::unavailable("gone"));
        }
        let request = request.into_inner();
        let now = self.clock.now();
        let grant = self
            .verifier
            .grant(&request.grant, ServiceName::SandboxBroker, now)
            .unwrap();
        assert_eq!(request.call_digest, grant.digest[..]);
        if !self.spent.lock().insert(grant.call) {
            let failure = Failure::new(Code::FailedPrecondition, Reason::GrantRedeemed, "spent before");
            return Err(failure.to_status());
        }
        let lease = Lease {
            id: LeaseId::generate(&*self.clock),
            grant: grant.id,
            redeemer: ServiceName::SandboxBroker,
            expires: now.plus(Duration::from_secs(60)),
            connections: 0,
            bytes: 0,
            destinations: Vec::new(),
            tenant: grant.tenant,
            run: grant.run,
            call: grant.call,
        };
        Ok(Response::new(hitl::RedeemGrantResponse {
            lease: self.signer.lease(&lease).unwrap(),
        }))
    }
}
