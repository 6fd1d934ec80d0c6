//! What is refused before anything is spent, recorded or done.

use std::time::Duration;

use harombe_error::Reason;
use harombe_grant::Signer;
use harombe_proto::sandbox::v1 as proto;
use harombe_testkit::TestPki;
use harombe_types::{CallId, ServiceName};
use serde_json::{Value, json};

use crate::bench::{Bench, reason};

fn args() -> Value {
    json!({ "language": "shell", "code": "touch ran" })
}

impl Bench {
    /// Shows a permission to Execute; it must be refused for this reason, and nothing must have come of it.
    async fn refuses(&self, permission: Option<proto::Permission>, expected: Reason) {
        let workspace = self.workspace().await;
        let refused = self.execute(permission, &workspace).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{refused:?}");
        assert_eq!(self.spent(), 0);
        let events = self.sink.events();
        let attempts = [Reason::GrantInvalid, Reason::GrantExpired, Reason::CallMismatch];
        assert_eq!(
            events.iter().any(|event| event.kind == "grant.refused"),
            attempts.contains(&expected)
        );
        assert!(
            events
                .iter()
                .all(|event| event.kind == "grant.refused" && event.outcome == "denied")
        );
        assert!(!self.directory(&workspace).join("ran").exists());
    }
}

#[tokio::test]
async fn a_call_that_is_not_the_granted_one() {
    let b = Bench::new().await;
    let granted = b.call("code_execute", &args());
    let grant = b.grant(&granted);
    let other = b.call(
        "code_execute",
        &json!({ "language": "shell", "code": "touch ran; echo more" }),
    );
    b.refuses(b.permission(&grant, &other), Reason::CallMismatch)
        .await;
    let b = Bench::new().await;
    let granted = b.call("code_execute", &args());
    let mut permission = b.permission(&b.grant(&granted), &granted).unwrap();
    let mut bytes = permission.call.to_vec();
    bytes.push(b' ');
    permission.call = bytes.into();
    b.refuses(Some(permission), Reason::CallInvalid).await;
}

#[tokio::test]
async fn a_grant_that_is_not_for_this_run() {
    let b = Bench::new().await;
    let call = b.call("code_execute", &args());
    let other = harombe_testkit::run("mallory", &*b.clock);
    let mut grant = b.grant(&call);
    grant.session = other.session;
    b.refuses(b.permission(&grant, &call), Reason::CallMismatch).await;
    let mut grant = b.grant(&call);
    grant.subject = other.subject;
    b.refuses(b.permission(&grant, &call), Reason::CallMismatch).await;
    let mut grant = b.grant(&call);
    grant.run = other.run;
    b.refuses(b.permission(&grant, &call), Reason::CallMismatch).await;
    let mut grant = b.grant(&call);
    grant.call = CallId::generate(&*b.clock);
    b.refuses(b.permission(&grant, &call), Reason::CallMismatch).await;
}

#[tokio::test]
async fn a_grant_that_is_too_late_forged_or_none() {
    let b = Bench::new().await;
    let call = b.call("code_execute", &args());
    let grant = b.grant(&call);
    let permission = b.permission(&grant, &call);
    let forged = |signer: &Signer| {
        let mut permission = permission.clone().unwrap();
        permission.grant = signer.grant(&grant).unwrap();
        Some(permission)
    };
    let elsewhere = TestPki::new(b.clock.clone());
    b.refuses(
        forged(&Signer::new(elsewhere.identity(ServiceName::Hitl))),
        Reason::GrantInvalid,
    )
    .await;
    b.refuses(
        forged(&Signer::new(b.pki.identity(ServiceName::Runtime))),
        Reason::GrantInvalid,
    )
    .await;
    let mut nothing = permission.clone().unwrap();
    nothing.grant = String::new();
    b.refuses(Some(nothing), Reason::GrantInvalid).await;
    b.clock.advance(Duration::from_secs(120));
    b.refuses(permission, Reason::GrantExpired).await;
}

#[tokio::test]
async fn no_permission_at_all() {
    Bench::new().await.refuses(None, Reason::InvalidArgument).await;
}

#[tokio::test]
async fn a_tool_of_another_method() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let permission = b.permitted("file_read", &json!({ "path": "a" }));
    let refused = b.execute(permission, &workspace).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::CallInvalid);
    assert_eq!((b.spent(), b.kinds()), (0, vec!["grant.refused".to_owned()]));
}

#[tokio::test]
async fn arguments_that_are_not_the_tools() {
    let b = Bench::new().await;
    for args in [
        json!({ "language": "python" }),
        json!({ "language": "cobol", "code": "" }),
        json!({ "language": "shell", "code": "", "network": true }),
        json!({ "language": "shell", "code": "", "timeout_s": 301 }),
        json!({ "language": "shell", "code": "", "memory_mb": 8193 }),
        json!({ "language": "shell", "code": "", "memory_mb": 0 }),
    ] {
        b.refuses(b.permitted("code_execute", &args), Reason::CallInvalid)
            .await;
    }
}

#[tokio::test]
async fn a_caller_that_is_not_the_runtime() {
    let b = Bench::new().await;
    for caller in [
        ServiceName::Gateway,
        ServiceName::Memory,
        ServiceName::EgressProxy,
    ] {
        let request = b.request(proto::OpenWorkspaceRequest::default());
        let refused = b.client_as(caller).open_workspace(request).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::NotAllowed);
    }
    let request = tonic::Request::new(proto::OpenWorkspaceRequest::default());
    let refused = b.client().open_workspace(request).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::Unauthenticated);
}
