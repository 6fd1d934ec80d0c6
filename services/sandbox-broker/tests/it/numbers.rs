//! What the service says of itself to whoever scrapes it.

use serde_json::json;

use crate::bench::Bench;

fn shows(b: &Bench, line: &str) {
    let page = b.metrics.encode();
    assert!(
        page.lines().any(|other| other == line),
        "{line} is not in\n{page}"
    );
}

#[tokio::test]
async fn executions_are_counted_by_language_and_outcome() {
    let b = Bench::new().await;
    b.python("print(1)").await.unwrap();
    b.python("raise SystemExit(3)").await.unwrap();
    let args = json!({ "language": "shell", "code": "kill -9 $$" });
    let workspace = b.workspace().await;
    let permission = b.permitted("code_execute", &args);
    b.execute(permission, &workspace).await.unwrap();
    let args = json!({ "language": "shell", "code": "sleep 60", "timeout_s": 1 });
    let permission = b.permitted("code_execute", &args);
    let ran = b.execute(permission, &workspace).await.unwrap();
    assert_eq!(ran.finished.limit_reason, "TIME_LIMIT");
    for (language, outcome) in [
        ("python", "ok"),
        ("python", "exit_code"),
        ("shell", "signal"),
        ("shell", "time_limit"),
    ] {
        let labels = format!("{{language=\"{language}\",outcome=\"{outcome}\"}}");
        shows(&b, &format!("harombe_sandbox_executions_total{labels} 1"));
    }
    shows(&b, "harombe_sandbox_start_seconds_count 4");
    shows(&b, "harombe_sandbox_running 0");
    shows(&b, "harombe_sandbox_waiting 0");
}

#[tokio::test]
async fn what_is_refused_is_no_execution() {
    let b = Bench::new().await;
    b.execute(None, &b.workspace().await).await.unwrap_err();
    let page = b.metrics.encode();
    assert!(!page.contains("harombe_sandbox_executions_total{"), "{page}");
}
