//! What happens when the file cannot be used, or the wrong service calls.

use std::sync::Arc;

use harombe_error::{Code, Reason};
use harombe_identity::CertificateAuthority;
use harombe_memory::{BuildError, Config, Deps, build};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::{RequestExt as _, TaskSet};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{Clock, ServiceName, SystemClock};
use tonic::Request;

use crate::rig::{Rig, answer, refused};

fn deps(data: std::path::PathBuf, trails: &TaskSet) -> Deps {
    let authority = CertificateAuthority::create("test.example", &SystemClock).expect("authority");
    let clock = Arc::new(SystemClock);
    let sink = AuditSink::new(&TestPki::new(clock.clone()), clock.clone());
    Deps {
        metrics: harombe_rpc::Metrics::new(),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        identity: authority
            .issue(ServiceName::Memory, &SystemClock)
            .expect("identity"),
        trail: sink.trail(ServiceName::Memory, clock, trails),
        models: data.join("models"),
        data,
        egress_proxy: sink.channel(ServiceName::Memory),
    }
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("memory.db");
    std::fs::write(
        &file,
        b"this is no database at all, but long enough to look at".repeat(100),
    )
    .expect("file");
    let trails = TaskSet::new();
    let Err(BuildError::Store(error)) =
        build(Config::default(), deps(directory.path().to_owned(), &trails)).await
    else {
        panic!("a damaged file was accepted");
    };
    assert!(error.to_string().contains("memory.db"), "{error}");
}

#[tokio::test]
async fn only_the_callers_that_the_protos_name_come_in() {
    let rig = Rig::new().await;
    let (session, run, _) = rig.begun().await;
    let person = || {
        Request::new(pb::GetSessionRequest {
            session_id: session.to_string(),
        })
    };
    let wrong_service = rig
        .as_runtime()
        .conversations
        .get_session(person().with_token(rig.ann()))
        .await;
    refused(answer(wrong_service), Code::PermissionDenied, Reason::NotAllowed);
    let no_token = rig.as_gateway().conversations.get_session(person()).await;
    refused(answer(no_token), Code::Unauthenticated, Reason::Unauthenticated);
    let run_for_person = rig
        .as_gateway()
        .conversations
        .get_session(person().with_token(&run.token))
        .await;
    assert!(run_for_person.is_err());
    let gateway_claims = rig
        .as_gateway()
        .journal
        .claim_expired(Request::new(pb::ClaimExpiredRequest::default()))
        .await;
    refused(answer(gateway_claims), Code::PermissionDenied, Reason::NotAllowed);
}

#[test]
fn a_limit_that_lets_nobody_in_is_a_fault() {
    let config: Config =
        toml::from_str("[limits]\nruns_per_subject = 0\nruns_per_tenant = 1000001").expect("config");
    let faults = config.validate();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults
            .iter()
            .all(|fault| fault.starts_with("memory.limits.runs_per_"))
    );
}

#[test]
fn a_faulty_configuration_says_which_key() {
    let parsed: Config = toml::from_str("lease = \"30s\"").expect("config");
    assert!(parsed.validate().is_empty());
    assert!(toml::from_str::<Config>("lesse = \"30s\"").is_err());
    for lease in ["10ms", "1h"] {
        let config: Config = toml::from_str(&format!("lease = \"{lease}\"")).expect("config");
        assert!(
            config
                .validate()
                .iter()
                .any(|fault| fault.contains("memory.lease")),
            "{lease}"
        );
    }
}
