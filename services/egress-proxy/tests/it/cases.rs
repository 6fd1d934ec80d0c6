//! Runs the published egress cases that this proxy can express, when they lie beside the project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use harombe_egress_proxy::domain::authority::Authority;
use harombe_egress_proxy::domain::denial::{Denial, Stage};
use harombe_egress_proxy::domain::headers;
use harombe_egress_proxy::domain::policy::Policy;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Script, ScriptedResolver, decide};

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    category: String,
    request_form: String,
    request: BTreeMap<String, Value>,
    policy: String,
    expected: String,
    stage: String,
    #[serde(default)]
    dns: BTreeMap<String, Value>,
}

/// One request as `web_fetch` would make it.
#[derive(Debug)]
struct Attempt {
    /// Read on its own first, where the form carries an authority.
    connect: Option<String>,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
}

/// Cases that this proxy denies at a later stage than the list says, and why that is right.
const LATER: &[(&str, Stage, &str)] = &[
    (
        "idna-cyrillic-a",
        Stage::Acl,
        "a valid name in another script: it is denied because no rule lists it",
    ),
    (
        "idna-dotless-i",
        Stage::Acl,
        "a valid name: it is denied because no rule lists it",
    ),
    (
        "idna-greek-omicron",
        Stage::Acl,
        "a valid name in another script: it is denied because no rule lists it",
    ),
    (
        "idna-ligature-localhost",
        Stage::Acl,
        "it is `localhost`, which is denied like `localhost`",
    ),
    (
        "idna-sharp-s-deviation",
        Stage::Acl,
        "a valid name under non-transitional processing",
    ),
    (
        "imds-zero-padded",
        Stage::Acl,
        "the request of imds-dotted, letter by letter, which is decided there",
    ),
    (
        "hdr-nested-connect",
        Stage::Http,
        "CONNECT is a method that no rule can list",
    ),
    (
        "redir-name-to-private",
        Stage::Dns,
        "the host is listed; it is its answer that is forbidden",
    ),
];

/// Categories and forms that belong to features which do not exist: interception of a sandbox's own TLS,
/// SOCKS and transparent listeners, credentials, identities of sandboxes, MCP rules.
const ABSENT_CATEGORIES: &[&str] = &["credential", "fail-closed", "identity", "mcp", "smuggling", "tls"];
const ABSENT_FORMS: &[&str] = &[
    "DNS query",
    "ICMP",
    "SOCKS4",
    "SOCKS5",
    "TCP",
    "UDP",
    "UNIX",
    "VSOCK",
];
const ABSENT_NAMES: &[&str] = &[
    "hdr-host-missing",           // the proxy writes the Host header itself
    "lint-cred-plain-http",       // no credentials in the policy
    "lint-cred-wildcard",         // no credentials in the policy
    "lint-dup-conflict",          // no TLS modes in the policy
    "lint-public-suffix-private", // no credentials in the policy
    "port-self-connection",       // no listener that takes connections from sandboxes
    "proto-relay-in-sandbox",     // sandboxes have no stream out
    "redir-loop",                 // there is no next request to decide about
];

fn data() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/egress");
    dir.join("cases.jsonl").exists().then_some(dir)
}

fn str_of<'a>(request: &'a BTreeMap<String, Value>, key: &str) -> Option<&'a str> {
    request.get(key).and_then(Value::as_str)
}

/// Translates a policy of the cases into ours; what no rule of ours can say (private ranges) is left out.
fn toml_policy(policies: &Value, name: &str) -> Option<String> {
    let policy = policies.get(name)?;
    let mut text = match policy.get("extends").and_then(Value::as_str) {
        Some(base) => toml_policy(policies, base)?,
        None => String::new(),
    };
    for rule in policy.get("allow")?.as_array()? {
        text.push_str("[[allow]]\n");
        for key in ["host", "cidr", "scheme", "ports"] {
            if let Some(value) = rule.get(key) {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        if let Some(http) = rule.get("http").and_then(|http| http.get(0)) {
            let path = http.get("path")?.as_str()?.strip_suffix("**")?;
            text.push_str(&format!(
                "methods = {}\npath_prefixes = [{path:?}]\n",
                http.get("methods")?
            ));
        }
    }
    Some(text)
}

fn script(answer: &Value) -> Script {
    let Some(answers) = answer.as_array() else {
        return Script::Fails;
    };
    if let Some(first) = answers.first().and_then(Value::as_str) {
        return match first.strip_prefix("CNAME ") {
            Some(to) => Script::Cname(to.to_owned()),
            // Service bindings carry hints; this resolver asks for addresses only.
            None => Script::Lookups(Vec::new()),
        };
    }
    let addresses = |lookup: &Value| {
        let texts = lookup.as_array().expect("a look-up is a list");
        texts
            .iter()
            .map(|a| a.as_str().expect("text").parse().expect("an address"))
            .collect()
    };
    Script::Lookups(answers.iter().map(addresses).collect())
}

fn attempts(case: &Case) -> Option<Vec<Attempt>> {
    match case.request_form.as_str() {
        "CONNECT" => connect_attempts(&case.request),
        "absolute-form" => Some(vec![absolute_attempt(&case.request)]),
        "redirect-follow-up" => Some(vec![redirect_attempt(&case.request)]),
        _ => None,
    }
}

fn connect_attempts(request: &BTreeMap<String, Value>) -> Option<Vec<Attempt>> {
    let known = ["connect", "headers", "host", "http", "requests", "sni"];
    if request.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    let connect = str_of(request, "connect")?;
    let scheme = if connect.ends_with(":80") { "http" } else { "https" };
    let (line, extra) = str_of(request, "http")
        .unwrap_or("GET /")
        .split_once(" + ")
        .unwrap_or((str_of(request, "http").unwrap_or("GET /"), ""));
    let (method, path) = line.split_once(' ')?;
    let mut headers: Vec<_> = extra.split_once(": ").into_iter().collect();
    headers.extend(str_of(request, "host").map(|host| ("Host", host)));
    let attempt = |path: &str, headers: &[(&str, &str)]| Attempt {
        connect: Some(connect.to_owned()),
        method: method.to_owned(),
        url: format!("{scheme}://{connect}{path}"),
        headers: headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    };
    match request.get("requests").and_then(Value::as_array) {
        None => Some(vec![attempt(path, &headers)]),
        Some(requests) => {
            let text =
                |request: &Value, key: &str| request.get(key).and_then(Value::as_str).map(str::to_owned);
            requests
                .iter()
                .map(|r| Some(attempt(&text(r, "path")?, &[("Host", &text(r, "host")?)])))
                .collect()
        }
    }
}

fn absolute_attempt(request: &BTreeMap<String, Value>) -> Attempt {
    let line = str_of(request, "line").expect("a request line");
    let (method, rest) = line.split_once(' ').expect("a method");
    let url = rest.strip_suffix(" HTTP/1.1").expect("a version");
    let headers = request
        .get("headers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let split = |field: &Value| {
        let (name, value) = field.as_str().expect("text").split_once(':').expect("a colon");
        (name.to_owned(), value.trim().to_owned())
    };
    Attempt {
        connect: None,
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.map(split).collect(),
    }
}

/// What a client asks for next when it obeys the redirect; browsers read a backslash as a slash.
fn redirect_attempt(request: &BTreeMap<String, Value>) -> Attempt {
    let response = str_of(request, "response").expect("a response");
    let (_, location) = response.split_once("Location: ").expect("a location");
    let url = location.split(' ').next().expect("a url").replace('\\', "/");
    Attempt {
        connect: None,
        method: "GET".into(),
        url,
        headers: Vec::new(),
    }
}

async fn run(
    policy: &str,
    resolver: &Arc<ScriptedResolver>,
    attempt: &Attempt,
) -> Result<Vec<String>, Denial> {
    if let Some(connect) = &attempt.connect {
        Authority::parse(connect, None)?;
    }
    let allowed = decide(policy, resolver.clone(), &attempt.method, &attempt.url).await?;
    headers::outgoing(
        attempt.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
        &allowed.target,
    )?;
    Ok(allowed
        .pinned
        .iter()
        .map(|address| address.get().to_string())
        .collect())
}

/// Says what is wrong with the outcome, if anything is.
async fn check(case: &Case, policy: &str, attempts: &[Attempt]) -> Option<String> {
    let scripts: BTreeMap<_, _> = case
        .dns
        .iter()
        .map(|(name, answer)| (name.clone(), script(answer)))
        .collect();
    let lookups = scripts
        .values()
        .map(|s| if let Script::Lookups(l) = s { l.len() } else { 1 })
        .max()
        .unwrap_or(1);
    let resolver = ScriptedResolver::new(scripts);
    let mut outcome = Ok(Vec::new());
    // A second list is what a second look-up would say: each decision before it must keep to the first.
    for round in 0..lookups.max(1) {
        for attempt in attempts {
            outcome = run(policy, &resolver, attempt).await;
            let public = |address: &String| {
                case.dns
                    .values()
                    .any(|a| a.to_string().contains(address.as_str()))
            };
            if let Ok(pinned) = &outcome
                && round + 1 < lookups
                && !pinned.iter().all(public)
            {
                return Some(format!("pinned {pinned:?}"));
            }
        }
    }
    if let Err(Denial::HostNotListed { .. } | Denial::Malformed(_) | Denial::ReservedName { .. }) = outcome
        && !resolver.asked().is_empty()
    {
        return Some(format!("resolved {:?}", resolver.asked()));
    }
    let later = LATER
        .iter()
        .find(|(name, ..)| *name == case.name)
        .map(|(_, stage, _)| *stage);
    match (case.expected.as_str(), outcome) {
        ("allow", Ok(_)) => None,
        ("deny", Err(denial)) if later == Some(denial.stage()) => None,
        ("deny", Err(denial)) if later.is_none() && at_or_before(denial.stage(), &case.stage) => None,
        (_, outcome) => Some(format!("{outcome:?}")),
    }
}

/// A URL is read as a whole before anything else, so a stage may come earlier than in the list, never later.
fn at_or_before(stage: Stage, expected: &str) -> bool {
    let order = ["parse", "acl", "http", "dns"];
    let rank = |name: &str| order.iter().position(|known| *known == name);
    matches!((rank(stage.as_str()), rank(expected)), (Some(ours), Some(theirs)) if ours <= theirs)
}

fn check_policy(case: &Case) -> Option<Option<String>> {
    let snippet = str_of(&case.request, "snippet")?;
    let quoted = |key: &str| snippet.strip_prefix(key)?.strip_prefix(": '")?.strip_suffix('\'');
    let rule = "[[allow]]\nhost = \"a.test\"\n";
    let text = if let Some(host) = quoted("host") {
        format!("[[allow]]\nhost = {host:?}\n")
    } else if let Some(cidr) = quoted("cidr") {
        format!("[[allow]]\ncidr = {cidr:?}\n")
    } else if snippet.starts_with("allow_all") {
        "allow_all = true\n".to_owned()
    } else if snippet.starts_with("ports: ['1-65535']") {
        format!("{rule}ports = [\"1-65535\"]\n")
    } else if snippet == "1 000 001 rules" {
        rule.repeat(1_000_001)
    } else if snippet.starts_with("http deny list") {
        format!("{rule}deny = [{{ path = \"/x\" }}]\n")
    } else {
        return None;
    };
    Some(
        Policy::parse(&text)
            .ok()
            .map(|_| "the policy was accepted".to_owned()),
    )
}

#[tokio::test]
async fn published_cases_are_decided_as_expected() {
    let Some(dir) = data() else {
        println!("egress cases: none beside the project; the unit tests carry the essential ones");
        return;
    };
    let policies: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.join("policies.json")).expect("readable"))
            .expect("json");
    let text = std::fs::read_to_string(dir.join("cases.jsonl")).expect("readable");
    let cases: Vec<Case> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a case"))
        .collect();
    let (mut run, mut left_out, mut wrong) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    for case in &cases {
        let absent = ABSENT_CATEGORIES.contains(&case.category.as_str())
            || ABSENT_FORMS.contains(&case.request_form.as_str())
            || ABSENT_NAMES.contains(&case.name.as_str());
        let verdict = if absent {
            None
        } else if case.request_form == "policy" {
            check_policy(case)
        } else if let (Some(policy), Some(attempts)) = (toml_policy(&policies, &case.policy), attempts(case))
        {
            Some(check(case, &policy, &attempts).await)
        } else {
            None
        };
        match verdict {
            None => *left_out.entry(case.category.clone()).or_default() += 1,
            Some(None) => run += 1,
            Some(Some(what)) => wrong.push(format!(
                "{} ({} {}): {what}",
                case.name, case.expected, case.stage
            )),
        }
    }
    println!(
        "egress cases: {run} of {} as expected; left out, by category: {left_out:?}",
        cases.len()
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(run * 2 > cases.len(), "most cases can be expressed");
}
