//! Running code.

use std::time::Duration;

use harombe_config::Size;
use harombe_error::Reason;
use harombe_proto::sandbox::v1 as proto;
use harombe_proto::sandbox::v1::execute_response::Frame;
use harombe_sandbox_broker::{Config, LimitSettings};
use harombe_testkit::Fault;
use harombe_trail::Kind;
use serde_json::{Value, json};

use crate::bench::{Bench, old_runsc, reason};

fn details(event: &harombe_proto::audit::v1::Event) -> Value {
    serde_json::from_str(&event.details).unwrap()
}

#[tokio::test]
async fn code_runs_and_leaves_its_trail() {
    let b = Bench::new().await;
    let ran = b
        .python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
        .await
        .unwrap();
    assert_eq!(
        (&*ran.out, &*ran.err, ran.finished.exit_code),
        ("out\n", "err\n", 3)
    );
    assert_eq!(ran.finished.limit_reason, "");
    assert_eq!(b.kinds(), ["exec.started", "exec.finished"]);
    let [started, finished] = &b.sink.events()[..] else {
        panic!()
    };
    assert_eq!(started.session_id, b.run.session.to_string());
    assert_eq!(started.call_id, finished.call_id);
    assert_eq!(details(started)["language"], "python");
    assert_eq!(details(started)["isolation"], "gvisor");
    assert_eq!(details(finished)["exit_code"], 3);
}

#[tokio::test]
async fn there_is_no_network() {
    let b = Bench::new().await;
    let ran = b
        .python("import socket; socket.create_connection(('192.0.2.1', 80), 5)")
        .await
        .unwrap();
    assert_eq!(ran.finished.exit_code, 1);
    assert!(ran.err.contains("No route to host"), "{ran:?}");
}

#[tokio::test]
async fn a_grant_is_spent_once() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let permission = b.permitted(
        "code_execute",
        &json!({ "language": "shell", "code": "echo x >> ran" }),
    );
    b.execute(permission.clone(), &workspace).await.unwrap();
    let refused = b.execute(permission, &workspace).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::GrantRedeemed);
    assert_eq!(
        std::fs::read_to_string(b.directory(&workspace).join("ran")).unwrap(),
        "x\n"
    );
    assert_eq!(b.kinds(), ["exec.started", "exec.finished"]);
}

#[tokio::test]
async fn secrets_do_not_leave() {
    let b = Bench::new().await;
    let code = "import sys\nfor f in (sys.stdout, sys.stderr):\n  f.write('key A'); f.flush(); f.write('KIAQ3EGRVVGC5T7LZ2P\\nnext')";
    let ran = b.python(code).await.unwrap();
    let expected = "key [REDACTED:aws_access_key]\nnext";
    assert_eq!((&*ran.out, &*ran.err), (expected, expected));
    assert_eq!(ran.finished.redactions.get("aws_access_key"), Some(&2));
}

#[tokio::test]
async fn half_a_secret_at_a_limit_does_not_leave() {
    let limits = LimitSettings {
        output: Size::from(30),
        ..LimitSettings::default()
    };
    let b = Bench::with(Config {
        limits,
        ..Config::default()
    })
    .await;
    let workspace = b.workspace().await;
    for (code, limit) in [
        ("echo first line; echo key AKIAQ3EGRVVGC5T7LZ2P", "OUTPUT_LIMIT"),
        (
            "echo first line; printf 'key AKIAQ3EGRVVGC5'; sleep 100",
            "TIME_LIMIT",
        ),
    ] {
        let args = json!({ "language": "shell", "code": code, "timeout_s": 5 });
        let ran = b
            .execute(b.permitted("code_execute", &args), &workspace)
            .await
            .unwrap();
        assert_eq!((&*ran.out, &*ran.finished.limit_reason), ("first line\n", limit));
    }
}

#[tokio::test]
async fn limits_end_a_program_and_say_which() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    for (args, limit) in [
        (
            json!({ "language": "shell", "code": "sleep 100", "timeout_s": 1 }),
            "TIME_LIMIT",
        ),
        (json!({ "language": "shell", "code": "yes" }), "OUTPUT_LIMIT"),
        (
            json!({ "language": "python", "code": "x = b'x' * (1 << 30)", "memory_mb": 64 }),
            "MEMORY_LIMIT",
        ),
    ] {
        let ran = b
            .execute(b.permitted("code_execute", &args), &workspace)
            .await
            .unwrap();
        assert_eq!(ran.finished.limit_reason, limit);
        assert_eq!(ran.finished.exit_code, 137);
        assert!(ran.out.len() <= 1 << 20);
    }
    let outcomes: Vec<String> = b
        .sink
        .of_kind(Kind::ExecFinished)
        .into_iter()
        .map(|e| e.outcome)
        .collect();
    assert_eq!(outcomes, ["failed"; 3]);
}

#[tokio::test]
async fn a_grants_bound_is_stronger_than_the_call() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let call = b.call(
        "code_execute",
        &json!({ "language": "shell", "code": "sleep 100", "timeout_s": 100 }),
    );
    let mut grant = b.grant(&call);
    grant.limits.time_ms = Some(500);
    let ran = b.execute(b.permission(&grant, &call), &workspace).await.unwrap();
    assert_eq!(ran.finished.limit_reason, "TIME_LIMIT");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_program() {
    let b = Bench::new().await;
    let workspace_id = b.workspace().await;
    let permission = b.permitted(
        "code_execute",
        &json!({ "language": "shell", "code": "echo up; sleep 1000", "timeout_s": 300 }),
    );
    let message = proto::ExecuteRequest {
        permission,
        workspace_id,
    };
    let mut stream = b.client().execute(b.request(message)).await.unwrap().into_inner();
    while !matches!(
        stream.message().await.unwrap().unwrap().frame,
        Some(Frame::Output(_))
    ) {}
    drop(stream);
    let finished = tokio::time::timeout(Duration::from_secs(60), b.sink.wait_for_kind(Kind::ExecFinished));
    assert_eq!(finished.await.unwrap().outcome, "cancelled");
}

#[tokio::test]
async fn deleting_the_workspace_ends_what_runs_in_it() {
    let b = Bench::new().await;
    let workspace_id = b.workspace().await;
    let permission = b.permitted(
        "code_execute",
        &json!({ "language": "shell", "code": "echo up; sleep 1000", "timeout_s": 300 }),
    );
    let message = proto::ExecuteRequest {
        permission,
        workspace_id: workspace_id.clone(),
    };
    let mut stream = b.client().execute(b.request(message)).await.unwrap().into_inner();
    while !matches!(
        stream.message().await.unwrap().unwrap().frame,
        Some(Frame::Output(_))
    ) {}
    let delete = proto::DeleteWorkspaceRequest {
        workspace_id: workspace_id.clone(),
    };
    b.client().delete_workspace(b.request(delete)).await.unwrap();
    assert!(!b.directory(&workspace_id).exists());
    assert_eq!(b.kinds(), ["exec.started", "exec.finished"]);
}

#[tokio::test]
async fn without_audit_nothing_runs() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    b.sink.fail(Fault::Unavailable);
    let permission = b.permitted(
        "code_execute",
        &json!({ "language": "shell", "code": "touch ran" }),
    );
    let refused = b.execute(permission, &workspace).await.unwrap_err();
    assert_eq!(reason(&refused), Reason::AuditUnavailable);
    assert!(!b.directory(&workspace).join("ran").exists());
}

#[tokio::test]
async fn without_hitl_nothing_runs() {
    let b = Bench::new().await;
    b.hitl.absent.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = b.python("print(1)").await.unwrap_err();
    assert_eq!(reason(&refused), Reason::HitlUnavailable);
    assert_eq!(b.kinds(), Vec::<String>::new());
}

#[tokio::test]
async fn without_isolation_nothing_runs_and_files_still_work() {
    let directory = tempfile::tempdir().unwrap();
    let runsc = Some(old_runsc(directory.path()));
    let b = Bench::with(Config {
        runsc,
        ..Config::default()
    })
    .await;
    let refused = b.python("print(1)").await.unwrap_err();
    assert_eq!(reason(&refused), Reason::IsolationUnavailable);
    assert_eq!(
        refused.message(),
        "sandboxes are not available; run `harombe doctor`, which says what is missing"
    );
    // The operator is told why, and where.
    let why = b.service.isolation().await.unwrap_err();
    let cause = std::error::Error::source(&why).unwrap().to_string();
    assert!(cause.contains("deploy/setup/runsc.sh"), "{cause}");
    assert!(cause.contains(&*directory.path().to_string_lossy()), "{cause}");
    assert_eq!((b.spent(), b.kinds()), (0, Vec::new()));
    let workspace = b.workspace().await;
    let permission = b.permitted("file_write", &json!({ "path": "a", "content": "x" }));
    assert_eq!(b.write(permission, &workspace, &[]).await.unwrap(), 1);
}

#[tokio::test]
async fn one_waits_for_another_and_is_refused_when_it_takes_too_long() {
    let config = Config {
        sandboxes: 1,
        queue: 0,
        ..Config::default()
    };
    let b = Bench::with(config).await;
    let workspace_id = b.workspace().await;
    let permission = b.permitted(
        "code_execute",
        &json!({ "language": "shell", "code": "echo up; sleep 1000", "timeout_s": 300 }),
    );
    let message = proto::ExecuteRequest {
        permission,
        workspace_id,
    };
    let mut stream = b.client().execute(b.request(message)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let refused = b.python("print(1)").await.unwrap_err();
    assert_eq!(reason(&refused), Reason::LimitExceeded);
    assert_eq!(b.spent(), 1);
}

#[tokio::test]
async fn the_isolation_can_be_proven_without_a_service() {
    let proof = harombe_sandbox_broker::prove(&Config::default()).await.unwrap();
    assert!(proof.kernel.starts_with("Linux version"));
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        runsc: Some(old_runsc(directory.path())),
        ..Config::default()
    };
    assert!(harombe_sandbox_broker::prove(&config).await.is_err());
    assert!(harombe_sandbox_broker::find_runsc(&config).is_err());
}

#[tokio::test]
async fn a_service_that_ends_leaves_nothing_running() {
    let b = Bench::new().await;
    let workspace_id = b.workspace().await;
    let permission = b.permitted(
        "code_execute",
        &json!({ "language": "shell", "code": "echo up; sleep 1000", "timeout_s": 300 }),
    );
    let message = proto::ExecuteRequest {
        permission,
        workspace_id,
    };
    let mut stream = b.client().execute(b.request(message)).await.unwrap().into_inner();
    while !matches!(
        stream.message().await.unwrap().unwrap().frame,
        Some(Frame::Output(_))
    ) {}
    let Bench { service, data, .. } = b;
    service.shutdown(Duration::from_millis(100)).await;
    drop(stream);
    let sandboxes = data.path().join("broker/driver/sandboxes");
    assert_eq!(std::fs::read_dir(&sandboxes).unwrap().count(), 0);
}
