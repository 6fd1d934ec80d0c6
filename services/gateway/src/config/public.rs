//! The door on the network: where it is, and for whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use harombe_config::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[gateway.public]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
        let bad: Vec<_> = self
            .allowed_origins
            .iter()
            .filter(|origin| !is_origin(origin))
            .map(String::as_str)
            .collect();
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
