use harombe_canonical::CallParts;
use serde_json::{Value, json};

use super::*;

fn call<T: ToolCall>(args: &Value) -> Result<T, InvalidCall> {
    let parts = CallParts {
        tenant: "t",
        agent: "a",
        run: "r",
        call: "c",
        tool: T::TOOL,
        args,
    };
    T::from_call(&CanonicalCall::new(parts).unwrap())
}

#[test]
fn code_execute_takes_its_limits_from_the_call() {
    let read: CodeExecute =
        call(&json!({ "language": "python", "code": "1", "timeout_s": 5, "memory_mb": 64 })).unwrap();
    assert_eq!(read.limits.time_millis, Some(5_000));
    assert_eq!(read.limits.memory, Some(64 * MIB));
    assert_eq!(read.limits.processes, None);
}

#[test]
fn what_is_not_exactly_a_tools_arguments_is_refused() {
    for args in [
        json!({}),
        json!({ "language": "python" }),
        json!({ "language": "ruby", "code": "" }),
        json!({ "language": "python", "code": 1 }),
        json!({ "language": "python", "code": "", "network": true }),
        json!({ "language": "python", "code": "", "timeout_s": -1 }),
        json!({ "language": "python", "code": "x".repeat(MAX_CODE + 1) }),
    ] {
        assert!(call::<CodeExecute>(&args).is_err(), "{args}");
    }
    for args in [
        json!({}),
        json!({ "path": "" }),
        json!({ "path": "../x" }),
        json!({ "path": "a", "max_bytes": MIB + 1 }),
    ] {
        assert!(call::<FileRead>(&args).is_err(), "{args}");
    }
    assert!(call::<FileList>(&json!({ "path": "/etc" })).is_err());
}

#[test]
fn a_file_is_written_from_the_call_or_from_what_follows_but_not_both() {
    let sha256 = "0f".repeat(32);
    let read: FileWrite = call(&json!({ "path": "a", "size": 3, "sha256": sha256 })).unwrap();
    assert_eq!(
        read.source,
        WriteSource::Upload {
            size: 3,
            sha256: [0x0f; 32]
        }
    );
    let read: FileWrite = call(&json!({ "path": "a", "content": "x" })).unwrap();
    assert_eq!(read.source, WriteSource::Content("x".to_owned()));
    for args in [
        json!({ "path": "a" }),
        json!({ "path": "a", "content": "x", "size": 1 }),
        json!({ "path": "a", "size": 1 }),
        json!({ "path": "a", "size": 1, "sha256": "0F".repeat(32) }),
        json!({ "path": "a", "size": 1, "sha256": "+f".repeat(32) }),
        json!({ "path": "a", "size": MAX_TRANSFER + 1, "sha256": sha256 }),
    ] {
        assert!(call::<FileWrite>(&args).is_err(), "{args}");
    }
}

#[test]
fn a_listing_is_of_the_workspace_unless_a_path_is_given() {
    assert_eq!(call::<FileList>(&json!({})).unwrap().path.as_str(), ".");
    assert_eq!(
        call::<FileList>(&json!({ "path": "/workspace/a" }))
            .unwrap()
            .path
            .as_str(),
        "a"
    );
}
