use serde_json::Value;

use super::Registry;

fn check(tool: &str, arguments: &str, expected: Result<&str, &str>) {
    let registry = Registry::built_in(true).unwrap();
    let tool = registry.get(tool).unwrap();
    match (tool.arguments(arguments), expected) {
        (Ok(value), Ok(expected)) => assert_eq!(value, serde_json::from_str::<Value>(expected).unwrap()),
        (Err(fault), Err(expected)) => assert!(fault.contains(expected), "{fault:?} lacks {expected:?}"),
        (got, expected) => panic!("{arguments}: got {got:?}, expected {expected:?}"),
    }
}

#[test]
fn arguments_that_fit_are_taken_as_they_are() {
    check(
        "code_execute",
        r#"{"language":"python","code":"print(1)"}"#,
        Ok(r#"{"code":"print(1)","language":"python"}"#),
    );
    check(
        "code_execute",
        r#"{"language":"python","code":"x","memory_mb":32}"#,
        Ok(r#"{"code":"x","language":"python","memory_mb":32}"#),
    );
    check("file_list", "", Ok("{}"));
    check(
        "web_fetch",
        r#"{"url":"https://a.test/"}"#,
        Ok(r#"{"url":"https://a.test/"}"#),
    );
}

#[test]
fn arguments_that_do_not_fit_are_told_why() {
    check("code_execute", "print(1)", Err("not JSON"));
    check(
        "code_execute",
        r#"{"language":"python","language":"shell","code":"x"}"#,
        Err("not JSON"),
    );
    check(
        "code_execute",
        r#"{"language":"cobol","code":"x"}"#,
        Err("/language"),
    );
    check("code_execute", r#"{"language":"python"}"#, Err("code"));
    check(
        "code_execute",
        r#"{"language":"python","code":"x","network":true}"#,
        Err("network"),
    );
    check(
        "code_execute",
        r#"{"language":"python","code":"x","timeout_s":301}"#,
        Err("/timeout_s"),
    );
    // the broker's own least: what passes here may not be refused after a person has approved it
    check(
        "code_execute",
        r#"{"language":"python","code":"x","memory_mb":31}"#,
        Err("/memory_mb"),
    );
    check("file_read", r#"{"path":7}"#, Err("/path"));
    check("file_list", "[]", Err("object"));
    check(
        "web_fetch",
        r#"{"url":"https://a.test/","method":"POST"}"#,
        Err("/method"),
    );
    check(
        "file_write",
        &format!("{{\"path\":\"a\",\"content\":\"{}\"}}", "x".repeat(600_000)),
        Err("longer than"),
    );
}
