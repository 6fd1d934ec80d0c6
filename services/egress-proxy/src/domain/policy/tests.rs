//! Matching never widens, faults are all named, and an unreadable policy allows nothing.

use proptest::prelude::*;

use super::*;

const POLICY: &str = r#"
trusted = ["docs.allowed.test", "**.wild.test"]

[[allow]]
host = "api.allowed.test"
ports = [443, 8443]
methods = ["GET"]
path_prefixes = ["/public/"]

[[allow]]
host = "api.allowed.test"
methods = ["HEAD"]

[[allow]]
host = "plain.allowed.test"
scheme = "http"

[[allow]]
host = "*.wild.test"
agents = ["researcher"]

[[allow]]
host = "**.deep.test"

[[allow]]
cidr = "93.184.215.0/24"
"#;

fn policy() -> Policy {
    Policy::parse(POLICY).expect("a valid policy")
}

fn admit(agent: &str, method: &str, url: &str) -> Result<usize, Denial> {
    let target = Target::parse(url).expect("a url");
    policy()
        .admit(&agent.parse().expect("an agent"), method, &target)
        .map(|rule| rule.position)
}

fn code(agent: &str, method: &str, url: &str) -> &'static str {
    admit(agent, method, url).expect_err("a denial").code()
}

#[test]
fn the_first_rule_that_allows_everything_decides() {
    assert_eq!(
        admit("default", "GET", "https://api.allowed.test/public/x"),
        Ok(0)
    );
    assert_eq!(
        admit("default", "GET", "https://api.allowed.test:8443/public/x"),
        Ok(0)
    );
    assert_eq!(
        admit("default", "HEAD", "https://api.allowed.test/anything"),
        Ok(1)
    );
    assert_eq!(admit("default", "GET", "http://plain.allowed.test/"), Ok(2));
    assert_eq!(admit("researcher", "GET", "https://eu.wild.test/"), Ok(3));
    assert_eq!(admit("default", "GET", "https://a.b.deep.test/"), Ok(4));
    assert_eq!(admit("default", "GET", "https://93.184.215.14/"), Ok(5));
}

#[test]
fn a_refusal_names_what_is_missing() {
    assert_eq!(code("default", "GET", "https://other.test/"), "host-not-listed");
    assert_eq!(
        code("default", "GET", "https://eu.wild.test/"),
        "host-not-listed",
        "another agent's rule"
    );
    assert_eq!(
        code("default", "GET", "https://93.184.216.14/"),
        "host-not-listed"
    );
    assert_eq!(code("default", "GET", "https://[2606::1]/"), "host-not-listed");
    assert_eq!(
        code("default", "GET", "https://api.allowed.test:444/public/"),
        "port-not-listed"
    );
    assert_eq!(
        code("default", "GET", "http://api.allowed.test:443/public/"),
        "port-not-listed",
        "the scheme"
    );
    assert_eq!(
        code("default", "POST", "https://api.allowed.test/public/"),
        "method-not-listed"
    );
    assert_eq!(
        code("default", "get", "https://api.allowed.test/public/"),
        "method-not-listed"
    );
    assert_eq!(
        code("default", "HEAD", "https://api.allowed.test:8443/"),
        "method-not-listed"
    );
    assert_eq!(
        code("default", "GET", "https://api.allowed.test/secret"),
        "path-not-listed"
    );
    assert_eq!(
        code("default", "GET", "https://api.allowed.test/public"),
        "path-not-listed"
    );
    assert_eq!(
        code("default", "GET", "https://api.allowed.test/public/%252e%252e/x"),
        "ambiguous-path"
    );
}

#[test]
fn trust_is_for_named_hosts_only() {
    let trusts = |url: &str| policy().trusts(&Target::parse(url).expect("a url").authority().host);
    assert!(trusts("https://docs.allowed.test/") && trusts("https://eu.wild.test/"));
    assert!(
        !trusts("https://api.allowed.test/")
            && !trusts("https://wild.test/")
            && !trusts("https://93.184.215.14/")
    );
}

#[test]
fn trusted_hosts_are_written_as_the_risk_rules_read_them() {
    assert_eq!(policy().trusted_hosts(), ["docs.allowed.test", "*.wild.test"]);
}

#[test]
fn the_policy_that_comes_with_the_program_allows_nothing() {
    let policy = Policy::parse(DEFAULT_POLICY).expect("valid");
    assert_eq!((policy.rules(), policy.trusted_hosts().len()), (0, 0));
}

#[test]
fn an_empty_policy_is_valid_and_allows_nothing() {
    let policy = Policy::parse("").expect("valid");
    let target = Target::parse("https://api.allowed.test/").expect("a url");
    assert_eq!(policy.rules(), 0);
    assert!(
        policy
            .admit(&"default".parse().expect("an agent"), "GET", &target)
            .is_err()
    );
    assert_eq!(policy.version(), "e3b0c44298fc", "the sha-256 of nothing");
}

#[test]
fn the_version_follows_the_text() {
    let other = Policy::parse(&POLICY.replace("8443", "9443")).expect("valid");
    assert_ne!(policy().version(), other.version());
    assert_eq!(policy().version(), policy().version());
}

#[test]
fn all_faults_are_reported_at_once_with_their_place() {
    let text = r#"
allow_all = true
trusted = ["*.com", 7, "*.wild.test"]
[[allow]]
host = "2130706433"
ports = [0, "443", 70000]
scheme = "https"
methods = ["GET", "get", "CONNECT"]
path_prefixes = ["/a/../b"]
agents = ["not a name"]
verbs = ["GET"]
[[allow]]
cidr = "10.0.0.1"
[[allow]]
host = "a.test"
cidr = "93.184.215.0/24"
[[allow]]
ports = [443]
[[allow]]
host = "b.test"
ports = []
[[allow]]
host = "c.test"
scheme = "ftp"
[[allow]]
host = "d.test"
methods = []
"#;
    let faults = Policy::parse(text).expect_err("faults").0;
    for expected in [
        "allow_all: unknown key",
        "trusted: \"*.com\"",
        "trusted: 7 is not a string",
        "trusted: \"*.wild.test\": write \"**.wild.test\"",
        "allow[0].host: \"2130706433\"",
        "allow[0].ports: 0 is not",
        "allow[0].ports: \"443\" is not",
        "allow[0].ports: 70000 is not",
        "allow[0].methods: \"get\"",
        "allow[0].methods: \"CONNECT\"",
        "allow[0].path_prefixes: \"/a/../b\"",
        "allow[0].agents: agent must",
        "allow[0].verbs: unknown key",
        "allow[1].cidr: \"10.0.0.1\"",
        "allow[2]: a rule names either",
        "allow[3]: a rule names either",
        "allow[4].ports: must be",
        "allow[5].scheme: \"ftp\"",
        "allow[6].methods: must be",
    ] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(expected)),
            "{expected} in {faults:#?}"
        );
    }
    assert_eq!(faults.len(), 19, "{faults:#?}");
}

#[test]
fn what_is_not_a_policy_is_refused() {
    let many = "[[allow]]\nhost = \"a.test\"\n".repeat(10_001);
    for text in [
        "allow",
        "allow = 1",
        "allow = [1]",
        "[allow]\nhost = \"a.test\"",
        "trusted = \"a.test\"",
        &many,
    ] {
        assert!(Policy::parse(text).is_err());
    }
    assert!(Policy::parse(&"#".repeat(5_000_000)).is_err());
}

#[test]
fn networks_must_be_exact_and_public() {
    let cidr = |net: &str| Policy::parse(&format!("[[allow]]\ncidr = {net:?}"));
    for net in ["93.184.215.0/24", "8.8.8.8/32", "2606:2800:21f::/48"] {
        assert!(cidr(net).is_ok(), "{net}");
    }
    for net in [
        "0.0.0.0/0",
        "::/0",
        "126.0.0.0/7",
        "169.254.169.254/32",
        "93.184.215.1/24",
        "8.8.8.8",
        "fd00::/8",
        "x",
    ] {
        assert!(cidr(net).is_err(), "{net}");
    }
}

fn label() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "test"]).prop_map(str::to_owned)
}

proptest! {
    /// The index finds exactly what asking every pattern would find.
    #[test]
    fn the_index_agrees_with_the_patterns(
        patterns in prop::collection::vec((0_u8..3, prop::collection::vec(label(), 2..4)), 0..8),
        host in prop::collection::vec(label(), 2..6),
    ) {
        let text: String = patterns
            .iter()
            .map(|(kind, labels)| {
                let prefix = ["", "*.", "**."][usize::from(*kind)];
                format!("[[allow]]\nhost = \"{prefix}{}\"\n", labels.join("."))
            })
            .collect();
        let policy = Policy::parse(&text).expect("valid");
        let target = Target::parse(&format!("https://{}/", host.join("."))).expect("a url");
        let Host::Name(name) = &target.authority().host else { panic!("a name") };
        let naive = policy.rules.iter().position(|rule| rule.pattern().is_some_and(|p| p.matches(name)));
        let agent = "default".parse().expect("an agent");
        prop_assert_eq!(policy.admit(&agent, "GET", &target).ok().map(|rule| rule.position), naive);
    }

    /// A policy never allows a URL whose text does not carry an allowed host right after the scheme.
    #[test]
    fn allowing_never_widens(url in "(http|https)://[a-z.@:\\\\/%#?0-9]{0,12}(api.allowed.test|deep.test|93.184.215.9)[a-z.@:/%#?0-9;\\\\]{0,12}") {
        if let Ok(target) = Target::parse(&url) {
            let agent = "default".parse().expect("an agent");
            if let Ok(rule) = policy().admit(&agent, "GET", &target) {
                let host = target.authority().host.to_string();
                let expected = host == "api.allowed.test" || host.ends_with(".deep.test") || host.starts_with("93.184.215.");
                prop_assert!(expected, "{} by {}", url, rule);
                let written = format!("://{host}");
                prop_assert!(url.contains(&written));
            }
        }
    }
}
