//! Host and port of a request, read strictly (RFC 3986 §3.2 without user information).

use std::fmt;

use crate::domain::denial::Malformed;
use crate::domain::host::Host;

/// A destination before it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    pub host: Host,
    pub port: u16,
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. Without a default the port must be there.
    ///
    /// # Errors
    /// What is wrong with the text; nothing is trimmed, decoded or completed.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, Malformed> {
        if text.contains('@') {
            return Err(Malformed::Userinfo);
        }
        let (host, port) = split(text);
        let port = match port {
            Some(digits) => parse_port(digits)?,
            None => default_port.ok_or(Malformed::MissingPort)?,
        };
        Ok(Self {
            host: Host::parse(host)?,
            port,
        })
    }
}

impl fmt::Display for Authority {
    /// Host and port, the port always.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Splits at the first colon after the host; a bracketed host keeps its own colons.
fn split(text: &str) -> (&str, Option<&str>) {
    let host_end = if text.starts_with('[') {
        text.rfind(']').map_or(text.len(), |at| at + 1)
    } else {
        0
    };
    let (bracketed, rest) = text.split_at_checked(host_end).unwrap_or((text, ""));
    match rest.split_once(':') {
        Some((host, port)) if bracketed.is_empty() => (host, Some(port)),
        Some(("", port)) => (bracketed, Some(port)),
        _ => (text, None),
    }
}

fn parse_port(digits: &str) -> Result<u16, Malformed> {
    let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if !canonical {
        return Err(Malformed::Port);
    }
    digits.parse().map_err(|_| Malformed::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, u16), Malformed>) {
        let got = Authority::parse(text, Some(443)).map(|a| (a.host.to_string(), a.port));
        assert_eq!(
            got,
            expected.map(|(host, port)| (host.to_owned(), port)),
            "{text:?}"
        );
    }

    #[test]
    fn host_and_port_are_read_strictly() {
        check("a.test", Ok(("a.test", 443)));
        check("A.test.:8443", Ok(("a.test", 8443)));
        check("[2606::1]", Ok(("[2606::1]", 443)));
        check("[2606::1]:1", Ok(("[2606::1]", 1)));
        check("93.184.215.14:65535", Ok(("93.184.215.14", 65535)));
        for text in [
            "a.test:",
            "a.test:0",
            "a.test:0443",
            "a.test:+443",
            "a.test: 443",
            "a.test:-1",
            "a.test:65536",
        ] {
            check(text, Err(Malformed::Port));
        }
        for text in [
            "a.test:443:80",
            "a.test:https",
            "a.test:99999999999999999999999",
            "a.test:４４３",
            "[2606::1]:",
        ] {
            check(text, Err(Malformed::Port));
        }
        check("user@a.test", Err(Malformed::Userinfo));
        check("a.test:443@b.test:443", Err(Malformed::Userinfo));
        check("", Err(Malformed::EmptyHost));
        check(":443", Err(Malformed::EmptyHost));
        check("[2606::1]x:443", Err(Malformed::Ipv6Notation));
        check("[2606::1", Err(Malformed::Ipv6Notation));
        check("2606::1", Err(Malformed::Port));
        assert_eq!(Authority::parse("a.test", None), Err(Malformed::MissingPort));
    }
}
