//! The door on the network: where it is, and for whom.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use serde::{Deserialize, Serialize};

const KEEP_ALIVES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5 * 60);
const UNREAD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// `[gateway.public]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Public {
    /// Address and port; without one nobody comes in over TCP. Beyond loopback it takes a certificate.
    pub listen: Option<SocketAddr>,
    /// PEM file with the certificate that clients see, and those that lead to its issuer.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with its private key.
    pub tls_key: Option<PathBuf>,
    /// Web pages that may call from a browser, as `https://host[:port]`; none unless they are named.
    pub allowed_origins: Vec<String>,
    /// How long a stream of events is silent before a comment shows that it is alive.
    pub keep_alive: Span,
    /// How long an answer waits for a client that does not read it; then the call ends.
    pub unread: Span,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            listen: None,
            tls_cert: None,
            tls_key: None,
            allowed_origins: Vec::new(),
            keep_alive: Span::from(Duration::from_secs(15)),
            unread: Span::from(Duration::from_secs(120)),
        }
    }
}

impl Public {
    pub(super) fn validate(&self, faults: &mut Vec<String>) {
        if let (Some(address), None) = (self.listen, &self.tls_cert)
            && !address.ip().is_loopback()
        {
            faults.push(format!(
                "gateway.public.listen: {address} can be reached from other machines, and keys would travel in the \
                 clear; set gateway.public.tls_cert and tls_key, or listen on 127.0.0.1"
            ));
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            faults.push(
                "gateway.public.tls_cert: a certificate and its key come together; set both tls_cert and tls_key, or \
                 neither"
                    .to_owned(),
            );
        }
        self.validate_origins(faults);
        if !KEEP_ALIVES.contains(&self.keep_alive.as_duration()) {
            let range = "must be from \"100ms\" to \"5m\"; the default is \"15s\"";
            faults.push(format!("gateway.public.keep_alive: {range}"));
        }
        if !UNREAD.contains(&self.unread.as_duration()) {
            let range = "must be from \"1s\" to \"1h\"; the default is \"2m\"";
            faults.push(format!("gateway.public.unread: {range}"));
        }
    }

    fn validate_origins(&self, faults: &mut Vec<String>) {
        let bad: Vec<_> = self
            .allowed_origins
            .iter()
            .filter(|origin| !is_origin(origin))
            .map(String::as_str)
            .collect();
        for (origin, sent) in self
            .allowed_origins
            .iter()
            .filter_map(|origin| Some((origin, as_sent(origin)?)))
        {
            faults.push(format!(
                "gateway.public.allowed_origins: no browser sends {origin:?}, for it leaves its scheme's own port out; \
                 write {sent:?}"
            ));
        }
        if !bad.is_empty() {
            faults.push(format!(
                "gateway.public.allowed_origins: no origins: {}; write \"https://host\" or \"https://host:port\", in \
                 lower case and without a path",
                bad.join(", ")
            ));
        }
    }
}

/// As browsers write it (RFC 6454 §6.2): scheme, host and, where it is not the scheme's own, port.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(host) = host else { return false };
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let has_user = host.contains('@');
    !has_user && !authority.host().is_empty() && !host.contains('*') && *host == host.to_ascii_lowercase()
}

/// What a browser sends for an origin that names its scheme's own port; `None` for others.
fn as_sent(origin: &str) -> Option<&str> {
    let (scheme, port) = [("https://", ":443"), ("http://", ":80")]
        .into_iter()
        .find(|(scheme, _)| origin.starts_with(scheme))?;
    let sent = origin.strip_suffix(port)?;
    (sent.len() > scheme.len()).then_some(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(public: &Public, expected: usize) {
        let mut faults = Vec::new();
        public.validate(&mut faults);
        assert_eq!(faults.len(), expected, "{faults:?}");
    }

    fn listening(address: &str, tls: bool) -> Public {
        Public {
            listen: Some(address.parse().unwrap()),
            tls_cert: tls.then(|| "cert.pem".into()),
            tls_key: tls.then(|| "key.pem".into()),
            ..Public::default()
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        check(&listening("127.0.0.1:7400", false), 0);
        check(&listening("[::1]:7400", false), 0);
        check(&listening("0.0.0.0:7400", false), 1);
        check(&listening("10.0.0.1:7400", false), 1);
        check(&listening("[::]:7400", false), 1);
        check(&listening("0.0.0.0:7400", true), 0);
        let half = Public {
            tls_key: None,
            ..listening("0.0.0.0:7400", true)
        };
        check(&half, 1);
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_refused_with_the_one_that_it_does() {
        let named = |origin: &str| Public {
            allowed_origins: vec![origin.to_owned()],
            ..Public::default()
        };
        let mut faults = Vec::new();
        named("https://app.example.com:443").validate(&mut faults);
        assert!(
            faults[0].contains("write \"https://app.example.com\""),
            "{faults:?}"
        );
        check(&named("http://[::1]:80"), 1);
        check(&named("http://app.example.com:443"), 0);
        check(&named("https://app.example.com:1443"), 0);
    }

    #[test]
    fn times_have_their_bounds() {
        let check = |keep_alive: u64, unread: u64, expected| {
            let public = Public {
                keep_alive: Span::from(Duration::from_millis(keep_alive)),
                unread: Span::from(Duration::from_millis(unread)),
                ..Public::default()
            };
            check(&public, expected);
        };
        check(100, 1000, 0);
        check(99, 1000, 1);
        check(300_001, 999, 2);
        check(300_000, 3_600_001, 1);
    }

    #[test]
    fn origins_are_what_browsers_send() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://a.example/",
            "https://*.example.com",
            "https://me@a.example",
            "https://A.example",
            "ftp://a.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
