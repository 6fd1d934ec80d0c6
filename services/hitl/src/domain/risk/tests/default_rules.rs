//! Every rule that ships: what it must catch and what it must leave alone.

mod code;
mod files;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{Risk, mix};
use super::{code, defaults, names, risk};

fn check(tool: &str, rule: &str, args: &Value, expected: bool) {
    let rules = defaults();
    let matched = names(rules, tool, args);
    assert_eq!(
        matched.iter().any(|name| name == rule),
        expected,
        "{rule} on {args}: {matched:?}"
    );
}

#[test]
fn web_rules_hit_and_miss() {
    let url =
        |rule: &str, url: &str, expected: bool| check("web_fetch", rule, &json!({ "url": url }), expected);
    let with = |rule: &str, key: &str, value: Value, expected: bool| {
        check(
            "web_fetch",
            rule,
            &json!({ "url": "https://docs.python.org/", key: value }),
            expected,
        );
    };
    url("web-fetch-other-host", "https://example.com/", true);
    url("web-fetch-other-host", "https://docs.python.org/3/", false);
    url(
        "web-fetch-other-host",
        "https://docs.python.org@example.com/",
        true,
    );
    url("web-fetch-not-encrypted", "HTTP://docs.python.org/", true);
    url("web-fetch-not-encrypted", "https://x.example/http:", false);
    with("web-fetch-not-get", "method", json!("POST"), true);
    with("web-fetch-not-get", "method", json!("get"), false);
    with("web-fetch-sends-data", "body", json!("x"), true);
    with("web-fetch-sends-data", "body", json!(""), false);
    with(
        "web-fetch-identity-headers",
        "headers",
        json!({ "Cookie": "a=b" }),
        true,
    );
    with(
        "web-fetch-identity-headers",
        "headers",
        json!({ "Host": "x" }),
        true,
    );
    with(
        "web-fetch-identity-headers",
        "headers",
        json!({ "Accept": "*/*" }),
        false,
    );
    url("web-fetch-userinfo", "https://u:p@x.example/", true);
    url("web-fetch-userinfo", "https://x.example/@home", false);
    for address in [
        "https://1.2.3.4/",
        "https://[::1]/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://1.2.3.4./",
    ] {
        url("web-fetch-address", address, true);
    }
    url("web-fetch-address", "https://1.2.3.4.example/", false);
    for odd in [
        "https:/x.example",
        "https:\\\\x.example",
        "//x.example",
        "file:///etc",
        " https://x.example",
        "https://x%2eexample/",
        "https://exämple.org/",
        "https://x.example:99999/",
        "https:///x",
        "",
    ] {
        url("web-fetch-odd-url", odd, true);
    }
    url("web-fetch-odd-url", "https://x.example:8443/ä?q=ü", false);
    url(
        "web-fetch-long-query",
        &format!("https://x.example/?d={}", "a".repeat(511)),
        true,
    );
    url(
        "web-fetch-long-query",
        &format!("https://x.example/?d={}", "a".repeat(510)),
        false,
    );
    url(
        "web-fetch-secret-in-url",
        "https://x.example/?a=1&api_key=zz",
        true,
    );
    url("web-fetch-secret-in-url", "https://x.example/token=none", false);
    url("web-fetch-drop-site", "https://a.ngrok.io/", true);
    url("web-fetch-drop-site", "https://ngrok.io.example/", false);
    for inside in [
        "http://localhost:80/",
        "https://api.internal/",
        "http://127.0.0.1/",
        "http://169.254.169.254/",
    ] {
        url("web-fetch-inside", inside, true);
    }
    url("web-fetch-inside", "https://internal.example/", false);
    url("web-fetch-payment", "https://paypal.com/checkout", true);
    url("web-fetch-payment", "https://www.paypal.com/", true);
    url("web-fetch-payment", "https://x.example/payload", false);
    url("web-fetch-account", "https://x.example/wp-admin/", true);
    url("web-fetch-account", "https://x.example/settings?x", true);
    url("web-fetch-account", "https://x.example/administrative", false);
    check(
        "web_search",
        "web-search-long-query",
        &json!({ "query": "x".repeat(513) }),
        true,
    );
    check(
        "web_search",
        "web-search-long-query",
        &json!({ "query": "x".repeat(512) }),
        false,
    );
}

#[test]
fn the_contract_s_default_risks_hold() {
    let rules = defaults();
    let expected = [
        ("code_execute", code("python", "print(1)"), Risk::High),
        ("file_read", json!({ "path": "a.csv" }), Risk::Low),
        ("file_list", json!({}), Risk::Low),
        (
            "file_write",
            json!({ "path": "a.csv", "content": "x" }),
            Risk::Low,
        ),
        (
            "web_fetch",
            json!({ "url": "https://docs.python.org/3/" }),
            Risk::Low,
        ),
        (
            "web_fetch",
            json!({ "url": "https://docs.python.org/3/", "method": "GET" }),
            Risk::Low,
        ),
        (
            "web_fetch",
            json!({ "url": "https://example.com/" }),
            Risk::Medium,
        ),
        (
            "web_fetch",
            json!({ "url": "https://docs.python.org/", "method": "HEAD" }),
            Risk::High,
        ),
        (
            "file_write",
            json!({ "path": "tool.sh", "size": 3, "sha256": "00" }),
            Risk::Low,
        ),
        ("web_search", json!({ "query": "x" }), Risk::Low),
        ("format_disk", json!({}), Risk::High),
        ("Code_Execute", code("python", "print(1)"), Risk::High),
        (
            "code_execute",
            code("python", "import os; os.system(\"rm -rf /\")"),
            Risk::Critical,
        ),
        (
            "file_write",
            json!({ "path": "a.sh", "content": "x" }),
            Risk::Medium,
        ),
        (
            "file_write",
            json!({ "path": "pandas.py", "content": "x" }),
            Risk::Medium,
        ),
        (
            "file_write",
            json!({ "path": "out/summary.json", "content": "{}" }),
            Risk::Low,
        ),
        (
            "file_write",
            json!({ "path": "notes.md", "content": "x" }),
            Risk::Low,
        ),
        (
            "file_write",
            json!({ "path": "letter.txt", "content": "x" }),
            Risk::Low,
        ),
        (
            "web_fetch",
            json!({ "url": "https://paypal.com/checkout" }),
            Risk::Critical,
        ),
    ];
    for (tool, args, level) in expected {
        assert_eq!(risk(rules, tool, &args), level, "{tool} {args}");
    }
}

#[test]
fn the_mix_hits_and_misses_every_default_rule() {
    let rules = defaults();
    let calls = mix().unwrap();
    let (mut hit, mut missed) = (BTreeSet::new(), BTreeSet::new());
    for call in &calls {
        let matched = names(rules, &call.tool, &call.args);
        for rule in rules.rules() {
            let set = if matched.contains(&rule.name) {
                &mut hit
            } else {
                &mut missed
            };
            set.insert(rule.name.clone());
        }
    }
    let all: BTreeSet<_> = rules.rules().iter().map(|rule| rule.name.clone()).collect();
    assert_eq!(hit, all);
    assert_eq!(missed, all);
    assert!(calls.len() >= 32);
    let mut bytes: Vec<_> = calls.iter().map(|call| call.args.to_string().len()).collect();
    bytes.sort_unstable();
    let median = bytes[bytes.len() / 2];
    assert!((190..=240).contains(&median), "{median}");
}

#[test]
fn every_reason_is_a_sentence() {
    for rule in defaults().rules() {
        assert!(
            rule.reason.ends_with('.') && rule.reason.len() < 120,
            "{}: {}",
            rule.name,
            rule.reason
        );
    }
}
