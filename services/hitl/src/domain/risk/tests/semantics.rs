//! How rules combine, whatever they say.

use std::time::Duration;

use serde_json::json;

use super::super::{HostSet, Risk, RuleSet};
use super::{code, compile, defaults, names, risk};

const TWO: &str = r#"
[[rule]]
name = "grave"
tool = ["t", "other"]
risk = "CRITICAL"
reason = "Grave."
deadline = "2m"
when = [{ arg = "a", contains = ["danger"] }]

[[rule]]
name = "base"
tool = "t"
risk = "low"
reason = "Base."
"#;

#[test]
fn the_highest_risk_wins_whatever_the_order() {
    let rules = compile(TWO);
    let args = json!({ "a": "much DANGER here" });
    let verdict = rules.classify("t", &args);
    assert_eq!(verdict.risk(), Risk::Critical);
    assert_eq!(verdict.reasons(), ["Grave.", "Base."]);
    assert_eq!(verdict.deadline(), Duration::from_secs(120));
    assert_eq!(rules.classify("t", &json!({ "a": "none" })).reasons(), ["Base."]);
    assert_eq!(
        rules.classify("t", &json!({ "a": "none" })).deadline(),
        Duration::from_secs(900)
    );
}

#[test]
fn what_no_rule_covers_is_high() {
    let rules = compile(TWO);
    let unknown = rules.classify("format_disk", &json!({}));
    assert_eq!(
        (unknown.risk(), unknown.reasons()),
        (Risk::High, vec!["Unknown tool: no rule speaks about it."])
    );
    let uncovered = rules.classify("other", &json!({ "a": "none" }));
    assert_eq!(
        (uncovered.risk(), uncovered.reasons()),
        (Risk::High, vec!["No rule covers this call."])
    );
    assert_eq!(uncovered.deadline(), Duration::from_secs(900));
}

#[test]
fn the_model_raises_and_never_lowers() {
    let rules = defaults();
    let list = json!({ "path": "reports" });
    let raised = rules.classify("file_list", &list).claimed_by_model(Risk::High);
    assert_eq!(raised.risk(), Risk::High);
    assert_eq!(
        raised.reasons().last(),
        Some(&"The model itself rates this call higher than the rules do.")
    );
    let run = code("python", "print(1)");
    let same = rules.classify("code_execute", &run).claimed_by_model(Risk::Low);
    assert_eq!((same.risk(), same.reasons().len()), (Risk::High, 1));
    assert_eq!(
        rules
            .classify("nonsense", &run)
            .claimed_by_model(Risk::Low)
            .risk(),
        Risk::High
    );
}

/// Whether a rule with the conditions `when` matches `args`.
fn check(when: &str, args: &serde_json::Value, expected: bool) {
    let text = format!("[[rule]]\nname = 'r'\ntool = 't'\nrisk = 'MEDIUM'\nreason = 'r'\nwhen = [{when}]\n");
    assert_eq!(
        names(&compile(&text), "t", args) == ["r"],
        expected,
        "{when} on {args}"
    );
}

#[test]
fn every_operator_on_values_holds_and_fails() {
    check(
        "{ arg = 'a', contains = ['xyz', 'rm'] }",
        &json!({ "a": "an RM b" }),
        true,
    );
    check(
        "{ arg = 'a', contains = ['xyz'] }",
        &json!({ "a": "xyxyz" }),
        true,
    );
    check(
        "{ arg = 'a', contains = ['xyz'] }",
        &json!({ "a": "xy z" }),
        false,
    );
    check("{ arg = 'a', contains = ['xyz'] }", &json!({ "b": "xyz" }), false);
    check(
        "{ arg = 'a', matches = 'a+b' }",
        &json!({ "a": "..AAAB.." }),
        true,
    );
    check(
        "{ arg = 'a', matches = '^a+b$' }",
        &json!({ "a": "..aaab.." }),
        false,
    );
    check("{ arg = 'a', equals = 'yes' }", &json!({ "a": "YES" }), true);
    check("{ arg = 'a', equals = 7 }", &json!({ "a": 7 }), true);
    check("{ arg = 'a', equals = 7 }", &json!({ "a": "7" }), false);
    check("{ arg = 'a', in = [true, 'on'] }", &json!({ "a": true }), true);
    check("{ arg = 'a', not_in = ['GET'] }", &json!({ "a": "put" }), true);
    check("{ arg = 'a', not_in = ['GET'] }", &json!({ "a": "get" }), false);
    check("{ arg = 'a', not_in = ['GET'] }", &json!({}), false);
    check("{ arg = 'a', not_in = ['GET'] }", &json!({ "a": null }), false);
    check("{ arg = 'a', longer_than = 2 }", &json!({ "a": "abc" }), true);
    check("{ arg = 'a', longer_than = 2 }", &json!({ "a": "ab" }), false);
    check(
        "{ arg = '/a/1/b', equals = 'x' }",
        &json!({ "a": [0, { "b": "x" }] }),
        true,
    );
    check("{ arg = '/a~1b', equals = 'x' }", &json!({ "a/b": "x" }), true);
    check(
        "{ language = ['shell', 'bash'] }",
        &json!({ "language": "Bash" }),
        true,
    );
    check("{ language = 'shell' }", &json!({ "language": "python" }), false);
    check(
        "{ any = [{ language = 'shell' }, { arg = 'a', equals = 1 }] }",
        &json!({ "a": 1 }),
        true,
    );
    check(
        "{ any = [{ language = 'shell' }, { arg = 'a', equals = 1 }] }",
        &json!({ "a": 2 }),
        false,
    );
    check(
        "{ arg = 'a', contains = ['xyz'] }, { arg = 'a', contains = ['abc'] }",
        &json!({ "a": "xyz" }),
        false,
    );
    check(
        "{ arg = 'a', contains = ['xyz'] }, { arg = 'a', contains = ['abc'] }",
        &json!({ "a": "xyzabc" }),
        true,
    );
}

#[test]
fn every_operator_on_urls_and_paths_holds_and_fails() {
    check(
        "{ arg = 'p', path_leaves_workspace = true }",
        &json!({ "p": "a/../../b" }),
        true,
    );
    check(
        "{ arg = 'p', path_leaves_workspace = true }",
        &json!({ "p": "a/b" }),
        false,
    );
    check(
        "{ arg = 'u', host_in = ['*.b.example'] }",
        &json!({ "u": "https://A.B.example:8443/x" }),
        true,
    );
    check(
        "{ arg = 'u', host_in = ['*.b.example'] }",
        &json!({ "u": "https://b.example/" }),
        false,
    );
    check(
        "{ arg = 'u', host_in = ['b.example'] }",
        &json!({ "u": "https://evilb.example/" }),
        false,
    );
    check(
        "{ arg = 'u', host_in = ['b.example'] }",
        &json!({ "u": "https://b.example./" }),
        true,
    );
    check(
        "{ arg = 'u', host_not_in_trusted = true }",
        &json!({ "u": "https://docs.python.org/3/" }),
        false,
    );
    check(
        "{ arg = 'u', host_not_in_trusted = true }",
        &json!({ "u": "https://x.y.trusted.example" }),
        false,
    );
    check(
        "{ arg = 'u', host_not_in_trusted = true }",
        &json!({ "u": "https://trusted.example.evil.net" }),
        true,
    );
    check(
        "{ arg = 'u', host_not_in_trusted = true }",
        &json!({ "u": ["https://docs.python.org/"] }),
        true,
    );
    check("{ arg = 'u', host_not_in_trusted = true }", &json!({}), true);
    check(
        "{ arg = 'u', query_longer_than = 3 }",
        &json!({ "u": "https://a.example/?a=12#frag" }),
        true,
    );
    check(
        "{ arg = 'u', query_longer_than = 3 }",
        &json!({ "u": "https://a.example/?a=1#long-frag" }),
        false,
    );
}

#[test]
fn an_argument_of_another_type_does_not_slip_past() {
    let rules = defaults();
    for wrapped in [json!(["sudo id"]), json!({ "text": "sudo id" })] {
        let args = json!({ "language": "shell", "code": wrapped });
        assert_eq!(risk(rules, "code_execute", &args), Risk::Critical, "{args}");
    }
    assert_eq!(
        risk(rules, "web_fetch", &json!("https://docs.python.org/")),
        Risk::Medium
    );
    assert_eq!(risk(rules, "web_fetch", &json!({ "url": 7 })), Risk::High);
}

#[test]
fn the_version_follows_the_meaning_and_not_the_layout() {
    let version = |text: &str, hosts: &[&str]| {
        let set = RuleSet::compile(&[("a.toml", text)], HostSet::new(hosts).unwrap()).unwrap();
        set.version().to_owned()
    };
    let same = TWO
        .replace("[[rule]]", "# a comment\n[[rule]]")
        .replace("\"low\"", "'LOW'");
    assert_eq!(version(TWO, &["a.example"]), version(&same, &["A.example"]));
    assert_ne!(version(TWO, &["a.example"]), version(TWO, &["b.example"]));
    assert_ne!(version(TWO, &[]), version(&TWO.replace("danger", "dangers"), &[]));
    assert_ne!(version(TWO, &[]), version(&TWO.replace("2m", "3m"), &[]));
    assert_eq!(version(TWO, &[]).len(), 16);
}

#[test]
fn rule_files_add_up() {
    let own = "[[rule]]\nname = 'no-shell'\ntool = 'code_execute'\nrisk = 'CRITICAL'\nreason = 'No shell here.'\nwhen = [{ language = 'shell' }]\n";
    let sources = [("default.toml", super::super::DEFAULT_RULES), ("own.toml", own)];
    let rules = RuleSet::compile(&sources, HostSet::default()).unwrap();
    assert_eq!(
        risk(&rules, "code_execute", &code("shell", "true")),
        Risk::Critical
    );
    assert_eq!(risk(&rules, "code_execute", &code("python", "1")), Risk::High);
}
