//! A runtime that lies: grants shown to the broker that are for something else, spent, or forged.

use std::time::Duration;

use bytes::Bytes;
use harombe_canonical::{CallParts, CanonicalCall};
use harombe_e2e::{Stage, World, reason_of};
use harombe_error::Reason;
use harombe_grant::{Grant, Signer, Verifier};
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::hitl::v1::{AuthorizeRequest, RedeemGrantRequest};
use harombe_proto::sandbox::v1::sandbox_service_client::SandboxServiceClient;
use harombe_proto::sandbox::v1::write_file_request::Frame;
use harombe_proto::sandbox::v1::{
    ExecuteRequest, OpenWorkspaceRequest, Permission, WriteFileRequest, WriteFileStart,
};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_testkit::{TestPki, files_under};
use harombe_types::{CallId, Clock as _, RunPrincipal, ServiceName, SystemClock};
use serde_json::json;
use tonic::{Request, Status};

use crate::support::{ANSWER, start};

both!(
    a_grant_is_for_one_call_and_once,
    a_grant_that_hitl_did_not_sign_is_worth_nothing,
    a_grant_is_spent_only_by_whom_it_is_for
);

/// Whoever holds runtime's certificate and the token of a run.
struct Liar {
    world: World,
    run: RunPrincipal,
    token: String,
    workspace: String,
}

impl Liar {
    async fn new(stage: &Stage) -> Self {
        let world = start(stage, ANSWER).await;
        let run = harombe_testkit::run("owner", &SystemClock);
        let now = SystemClock.now();
        let token = world.minter().run(&run, now.plus(Duration::from_secs(60)), now);
        let mut liar = Self {
            world,
            run,
            token: token.unwrap().into(),
            workspace: String::new(),
        };
        let opened = liar
            .broker()
            .open_workspace(liar.request(OpenWorkspaceRequest::default()))
            .await;
        liar.workspace = opened.unwrap().into_inner().workspace_id;
        liar
    }

    fn request<T>(&self, message: T) -> Request<T> {
        Request::new(message).with_token(self.token.as_str())
    }

    fn broker(&self) -> SandboxServiceClient<GrpcChannel> {
        let channel = self
            .world
            .channel(ServiceName::SandboxBroker, ServiceName::Runtime);
        SandboxServiceClient::new(channel.unwrap())
    }

    fn hitl(&self, as_: ServiceName) -> AuthorizationServiceClient<GrpcChannel> {
        AuthorizationServiceClient::new(self.world.channel(ServiceName::Hitl, as_).unwrap())
    }

    fn call(&self, id: CallId, tool: &str, args: &serde_json::Value) -> CanonicalCall {
        CanonicalCall::new(CallParts {
            tenant: self.run.tenant.as_str(),
            agent: self.run.agent.as_str(),
            run: &self.run.run.to_string(),
            call: &id.to_string(),
            tool,
            args,
        })
        .unwrap()
    }

    fn write(&self, id: CallId, content: &str) -> CanonicalCall {
        self.call(
            id,
            "file_write",
            &json!({ "path": "file.txt", "content": content }),
        )
    }

    /// hitl's own grant for a call of low risk.
    async fn granted(&self, call: &CanonicalCall) -> String {
        let request = self.request(AuthorizeRequest {
            call: Bytes::copy_from_slice(call.bytes()),
            ..AuthorizeRequest::default()
        });
        let authorized = self.hitl(ServiceName::Runtime).authorize(request).await.unwrap();
        match authorized.into_inner().outcome {
            Some(Outcome::Granted(granted)) => granted.grant,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn show(&self, grant: &str, call: &CanonicalCall) -> Result<u64, Status> {
        let permission = Some(permission(grant, call));
        let start = WriteFileStart {
            permission,
            workspace_id: self.workspace.clone(),
        };
        let frame = WriteFileRequest {
            frame: Some(Frame::Start(start)),
        };
        let request = self.request(tokio_stream::iter([frame]));
        let written = self.broker().write_file(request).await;
        written.map(|response| response.into_inner().size)
    }

    fn written(&self) -> Option<String> {
        crate::support::in_workspace(&self.world.data(), "file.txt")
    }

    fn id() -> CallId {
        CallId::generate(&SystemClock)
    }
}

fn permission(grant: &str, call: &CanonicalCall) -> Permission {
    Permission {
        grant: grant.to_owned(),
        call: Bytes::copy_from_slice(call.bytes()),
    }
}

async fn a_grant_is_for_one_call_and_once(stage: &Stage) {
    let liar = Liar::new(stage).await;
    let id = Liar::id();
    let call = liar.write(id, "as granted");
    let grant = liar.granted(&call).await;

    let other = liar.show(&grant, &liar.write(id, "something else")).await;
    assert_eq!(reason_of(&other.unwrap_err()), Reason::CallMismatch);
    let other = liar.show(&grant, &liar.write(Liar::id(), "as granted")).await;
    assert_eq!(reason_of(&other.unwrap_err()), Reason::CallMismatch);
    assert_eq!(liar.written(), None);

    assert_eq!(liar.show(&grant, &call).await.unwrap(), 10);
    assert_eq!(liar.written().as_deref(), Some("as granted"));
    let again = liar.show(&grant, &call).await;
    assert_eq!(reason_of(&again.unwrap_err()), Reason::GrantRedeemed);

    let log = liar.world.stop().await.log().await;
    assert_eq!(log.count("grant.refused"), 3);
    assert_eq!(log.count("exec.started"), 1);
}

async fn a_grant_that_hitl_did_not_sign_is_worth_nothing(stage: &Stage) {
    let liar = Liar::new(stage).await;
    let id = Liar::id();
    let call = liar.write(id, "forged");
    let genuine = liar.granted(&call).await;
    let verifier = Verifier::new(liar.world.identity(ServiceName::Hitl).roots().clone());
    let grant: Grant = verifier
        .grant(&genuine, ServiceName::SandboxBroker, SystemClock.now())
        .unwrap();

    let elsewhere = TestPki::new(std::sync::Arc::new(SystemClock));
    let signers = [
        elsewhere.identity(ServiceName::Hitl),
        liar.world.identity(ServiceName::Runtime),
        liar.world.identity(ServiceName::SandboxBroker),
    ];
    for identity in signers {
        let forged = Signer::new(identity).grant(&grant).unwrap();
        let refused = liar.show(&forged, &call).await.unwrap_err();
        assert_eq!(reason_of(&refused), Reason::GrantInvalid, "{refused}");
    }
    assert_eq!(liar.written(), None);

    // Code that nobody approved, under a forged grant.
    let code = liar.call(
        Liar::id(),
        "code_execute",
        &json!({ "language": "shell", "code": "touch ran" }),
    );
    let forged = Grant {
        call: code.call().parse().unwrap(),
        tool: "code_execute".to_owned(),
        digest: *code.digest().as_bytes(),
        ..grant
    };
    let forged = Signer::new(liar.world.identity(ServiceName::Runtime))
        .grant(&forged)
        .unwrap();
    let request = liar.request(ExecuteRequest {
        permission: Some(permission(&forged, &code)),
        workspace_id: liar.workspace.clone(),
    });
    let refused = match liar.broker().execute(request).await {
        Err(status) => status,
        Ok(frames) => frames.into_inner().message().await.unwrap_err(),
    };
    assert_eq!(reason_of(&refused), Reason::GrantInvalid);
    assert_eq!(
        files_under(&liar.world.data().join("broker/workspaces")),
        Vec::<std::path::PathBuf>::new()
    );

    let log = liar.world.stop().await.log().await;
    assert_eq!(log.count("grant.refused"), 4);
    assert_eq!(log.count("exec.started") + log.count("grant.redeemed"), 0);
}

async fn a_grant_is_spent_only_by_whom_it_is_for(stage: &Stage) {
    let liar = Liar::new(stage).await;
    let call = liar.write(Liar::id(), "mine");
    let grant = liar.granted(&call).await;
    let request = RedeemGrantRequest {
        grant: grant.clone(),
        call_digest: Bytes::copy_from_slice(call.digest().as_bytes()),
    };
    let refused = liar.hitl(ServiceName::EgressProxy).redeem_grant(request).await;
    assert_eq!(reason_of(&refused.unwrap_err()), Reason::GrantInvalid);
    // It is not spent by that.
    assert_eq!(liar.show(&grant, &call).await.unwrap(), 4);
    let log = liar.world.stop().await.log().await;
    assert_eq!((log.count("grant.refused"), log.count("grant.redeemed")), (1, 1));
}
