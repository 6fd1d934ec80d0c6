//! One destination of the operator's choice, `[egress-proxy.upstreams.NAME]`: where it is, who may use it, and which
//! credential it is shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use harombe_types::ServiceName;
use http::header::{self, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::domain::host::Host;
use crate::domain::search::Search;
use crate::domain::target::{Scheme, Target};
use crate::domain::upstream::is_framing;

const MIN_TIME: Duration = Duration::from_secs(1);
const MAX_IDLE: Duration = Duration::from_secs(15 * 60);
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
const MAX_NAME: usize = 64;
/// Fields in which keys travel: a configuration is no place for them.
const SECRETS: [&str; 5] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
];

/// In which header field a credential travels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Injection {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    #[default]
    Bearer,
    /// The whole value of a field.
    Field(HeaderName),
}

impl Injection {
    /// The field that is set.
    pub fn field(&self) -> HeaderName {
        match self {
            Self::Bearer => header::AUTHORIZATION,
            Self::Field(name) => name.clone(),
        }
    }
}

impl From<Injection> for String {
    fn from(injection: Injection) -> Self {
        match injection {
            Injection::Bearer => "bearer".to_owned(),
            Injection::Field(name) if name == "x-api-key" => "x-api-key".to_owned(),
            Injection::Field(name) => format!("header:{name}"),
        }
    }
}

impl TryFrom<String> for Injection {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = match text.as_str() {
            "bearer" => return Ok(Self::Bearer),
            "x-api-key" => "x-api-key",
            other => other.strip_prefix("header:").unwrap_or_default(),
        };
        let invalid = || {
            "write \"bearer\", \"x-api-key\" or \"header:NAME\" with the name of a header field".to_owned()
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        if is_framing(&name) {
            return Err(format!(
                "{name} belongs to the connection: a credential cannot travel in it"
            ));
        }
        Ok(Self::Field(name))
    }
}

/// A named destination. Private and loopback addresses are possible here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// `http` or `https`, host, port, and the path that every request's path is put behind.
    pub url: String,
    /// The name of a secret; without one nothing is injected.
    pub credential: Option<String>,
    /// How the credential travels.
    #[schemars(with = "String")]
    pub inject: Injection,
    /// Who may open a tunnel to it.
    #[schemars(with = "Vec<String>")]
    pub services: Vec<ServiceName>,
    /// Header fields that every request carries; they win over the caller's.
    pub headers: BTreeMap<String, String>,
    /// A PEM file with the only certificate authorities that may vouch for it; the system's otherwise.
    pub ca: Option<PathBuf>,
    /// Longest silence, from the request to the first byte of the answer and between two pieces of it.
    pub idle: Span,
    /// Longest time for one request and its answer.
    pub time: Span,
    /// Longest body of a request.
    pub max_request: Size,
    /// Longest body of an answer; a longer one is broken off.
    pub max_response: Size,
    /// What makes it the service that `web_search` asks.
    pub search: Option<Search>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: String::new(),
            credential: None,
            inject: Injection::default(),
            services: Vec::new(),
            headers: BTreeMap::new(),
            ca: None,
            idle: Duration::from_secs(120).into(),
            time: Duration::from_secs(15 * 60).into(),
            max_request: (32 * 1024 * 1024).into(),
            max_response: (64 * 1024 * 1024).into(),
            search: None,
        }
    }
}

impl Upstream {
    /// An upstream at that URL, for nobody yet.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    /// Everything that is wrong with the values; `key` is where they stand.
    pub(super) fn validate(&self, key: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("{key}.{what}"));
        // Not repeated: what does not belong into it is often a password or a key.
        match Target::parse(&self.url) {
            Err(error) => fault(format!("url cannot be used: {error}")),
            Ok(target) if target.query().is_some() => {
                fault("url must end with its path: it has a query".to_owned());
            }
            Ok(target) if self.credential.is_some() && is_in_the_clear(&target) => {
                fault("url must be https: a credential would cross the network in the clear".to_owned());
            }
            Ok(_) => {}
        }
        if self.credential.as_ref().is_some_and(|name| !is_name(name)) {
            fault("credential must be the name of a secret: letters, digits, '-', '_' and '.'".to_owned());
        }
        if self.services.contains(&ServiceName::Client) {
            fault("services must name services: a client never comes here".to_owned());
        }
        if self.services.is_empty() && self.search.is_none() {
            fault("services must name who may use it, such as [\"runtime\"]".to_owned());
        }
        for (name, value) in &self.headers {
            if let Err(why) = self.check_header(name, value) {
                fault(format!("headers.{name:?} {why}"));
            }
        }
        if self.ca.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            fault("ca must name a PEM file, or be left out for the system's authorities".to_owned());
        }
        if !(MIN_TIME..=MAX_IDLE).contains(&self.idle.as_duration()) {
            fault("idle must be from \"1s\" to \"15m\"".to_owned());
        }
        if !(MIN_TIME..=MAX_TIME).contains(&self.time.as_duration()) {
            fault("time must be from \"1s\" to \"24h\"".to_owned());
        }
        for (name, size) in [
            ("max_request", self.max_request),
            ("max_response", self.max_response),
        ] {
            if !(1..=MAX_BYTES).contains(&size.as_bytes()) {
                fault(format!("{name} must be from \"1\" to \"1GiB\""));
            }
        }
        faults
    }

    fn check_header(&self, name: &str, value: &str) -> Result<(), &'static str> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header field")?;
        if HeaderValue::from_str(value).is_err() {
            return Err("has a value that no header field can have");
        }
        if is_framing(&name) {
            return Err("belongs to the connection: the proxy sets it");
        }
        let secret = SECRETS.contains(&name.as_str()) || name == self.inject.field();
        if secret {
            return Err("carries a secret: name it in `credential`");
        }
        Ok(())
    }
}

/// Would others on the network read along? Nobody does on the way to this machine itself.
fn is_in_the_clear(target: &Target) -> bool {
    let here = match &target.authority().host {
        Host::Address(address) => address.is_loopback(),
        // RFC 6761, section 6.3.
        Host::Name(name) => name.as_str() == "localhost",
    };
    target.scheme() == Scheme::Http && !here
}

/// Can an upstream or a secret be called that?
pub(super) fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(letter) && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let faults = match toml::from_str::<Upstream>(text) {
            Ok(upstream) => upstream.validate("u"),
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(faults.len(), expected.len(), "{text}: {faults:?}");
        for (fault, part) in faults.iter().zip(expected) {
            assert!(fault.contains(part), "{text}: {fault} lacks {part}");
        }
    }

    #[test]
    fn what_an_operator_would_write_is_valid() {
        check(
            r#"
            url = "https://api.anthropic.com"
            credential = "anthropic"
            inject = "x-api-key"
            services = ["runtime"]
            headers = { "anthropic-version" = "2023-06-01" }
            "#,
            &[],
        );
        check(
            "url = \"http://127.0.0.1:11434/v1\"\nservices = [\"runtime\"]",
            &[],
        );
        check("url = \"http://[::1]:8080\"\nsearch = \"searxng\"", &[]);
        check(
            "url = \"https://api.search.brave.com\"\nsearch = \"brave\"\ncredential = \"brave\"\ninject = \"header:X-Subscription-Token\"",
            &[],
        );
    }

    #[test]
    fn a_credential_does_not_cross_the_network_in_the_clear() {
        let with = |url: &str| format!("url = \"{url}\"\nservices = [\"runtime\"]\ncredential = \"key\"");
        for here in [
            "http://127.0.0.1:8080/v1",
            "http://[::1]:8080",
            "http://localhost:8080",
            "https://a.test",
        ] {
            check(&with(here), &[]);
        }
        for beyond in ["http://a.test", "http://10.0.0.1:8080"] {
            check(&with(beyond), &["u.url must be https"]);
        }
    }

    #[test]
    fn every_fault_is_named() {
        check("", &["u.url", "u.services"]);
        let with = |line: &str| format!("url = \"https://a.test\"\nservices = [\"runtime\"]\n{line}");
        for (line, fault) in [
            ("credential = \"../x\"", "u.credential"),
            ("credential = \"\"", "u.credential"),
            ("inject = \"query:key\"", "header:NAME"),
            (
                "inject = \"header:Transfer-Encoding\"",
                "belongs to the connection",
            ),
            ("inject = \"header:a b\"", "header:NAME"),
            ("headers = { \"Host\" = \"b.test\" }", "belongs to the connection"),
            (
                "headers = { \"authorization\" = \"Bearer x\" }",
                "carries a secret",
            ),
            ("headers = { \"X-Api-Key\" = \"k\" }", "carries a secret"),
            (
                "headers = { \"a\" = \"b\\r\\nc: d\" }",
                "no header field can have",
            ),
            ("ca = \"\"", "u.ca"),
            ("idle = \"1h\"", "u.idle"),
            ("time = \"0s\"", "u.time"),
            ("max_request = \"0\"", "u.max_request"),
            ("max_response = \"2GiB\"", "u.max_response"),
            ("search = \"google\"", "searxng"),
            ("redirects = true", "unknown field"),
        ] {
            check(&with(line), &[fault]);
        }
        for url in [
            "ftp://a.test",
            "https://u:p@a.test",
            "https://a.test/?k=v",
            "https://a.test/../b",
            "a.test",
        ] {
            check(&format!("url = {url:?}\nservices = [\"runtime\"]"), &["u.url"]);
            let faults = Upstream::new(url).validate("u");
            assert!(faults.iter().all(|fault| !fault.contains("a.test")), "{faults:?}");
        }
        check(
            "url = \"https://a.test\"\nservices = [\"client\"]",
            &["u.services"],
        );
    }

    #[test]
    fn an_injection_reads_back_as_it_was_written() {
        for text in ["bearer", "x-api-key", "header:x-subscription-token"] {
            let read = Injection::try_from(text.to_owned()).expect("an injection");
            assert_eq!(String::from(read), text);
        }
    }
}
