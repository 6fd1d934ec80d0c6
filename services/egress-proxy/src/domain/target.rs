//! The URL of a request, read strictly: one reading or none (RFC 3986, http and https only).

use std::fmt;

use crate::domain::authority::Authority;
use crate::domain::denial::Malformed;
use crate::domain::path;

/// Longest URL that is looked at, in bytes.
const MAX_URL: usize = 8192;

/// How the peer is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// Lower-case, as in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL without one means.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// What a request asks for, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    authority: Authority,
    path: Box<str>,
    query: Option<Box<str>>,
}

impl Target {
    /// Reads an absolute http or https URL.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(url: &str) -> Result<Self, Malformed> {
        if url.len() > MAX_URL {
            return Err(Malformed::TooLong);
        }
        let (scheme, rest) = split_scheme(url)?;
        if rest.contains('#') {
            return Err(Malformed::Fragment);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end).ok_or(Malformed::NotHttp)?;
        let authority = Authority::parse(authority, Some(scheme.default_port()))?;
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        path::check_encoding(path, b"/")?;
        path::check_segments(path)?;
        path::check_encoding(query.unwrap_or_default(), b"/?")?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            scheme,
            authority,
            path: path.into(),
            query: query.map(Into::into),
        })
    }

    /// http or https.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path, never empty, as it was written.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the path's question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// What goes on the request line.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_string(),
        }
    }

    /// The value of the Host header: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> String {
        let Authority { host, port } = &self.authority;
        if *port == self.scheme.default_port() {
            host.to_string()
        } else {
            format!("{host}:{port}")
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.as_str(),
            self.host_header(),
            self.path_and_query()
        )
    }
}

fn split_scheme(url: &str) -> Result<(Scheme, &str), Malformed> {
    let (scheme, rest) = url.split_once("://").ok_or(Malformed::NotHttp)?;
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        Scheme::Https
    } else if scheme.eq_ignore_ascii_case("http") {
        Scheme::Http
    } else {
        return Err(Malformed::NotHttp);
    };
    Ok((scheme, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str, expected: Result<&str, Malformed>) {
        assert_eq!(
            Target::parse(url).map(|t| t.to_string()),
            expected.map(str::to_owned),
            "{url:?}"
        );
    }

    #[test]
    fn a_url_has_one_canonical_form() {
        check("https://A.test", Ok("https://a.test/"));
        check("HTTPS://a.test:443/x?y=1", Ok("https://a.test/x?y=1"));
        check("http://a.test:443/", Ok("http://a.test:443/"));
        check("http://a.test?x", Ok("http://a.test/?x"));
        check(
            "https://bücher.test/a%20b?q=a+b/c?d",
            Ok("https://xn--bcher-kva.test/a%20b?q=a+b/c?d"),
        );
        check("https://[2606::0:1]:8443/", Ok("https://[2606::1]:8443/"));
    }

    #[test]
    fn what_is_not_exactly_a_url_is_refused() {
        for url in [
            "",
            "/x",
            "a.test",
            "http:/a.test",
            "http:a.test",
            "ftp://a.test/",
            "jar:http://a.test!/",
            " http://a.test/",
        ] {
            check(url, Err(Malformed::NotHttp));
        }
        check("https://a@b.test/", Err(Malformed::Userinfo));
        check("https://a:b@c@d.test/", Err(Malformed::Userinfo));
        check("https://a.test/#x", Err(Malformed::Fragment));
        check("https://a.test#@b.test/", Err(Malformed::Fragment));
        check("https:///x", Err(Malformed::EmptyHost));
        check("https://a.test\\@b.test/", Err(Malformed::Userinfo));
        check("https://a.test\\.b.test/", Err(Malformed::HostName));
        check("https://a.test /x", Err(Malformed::HostName));
        check("https://a.test/x y", Err(Malformed::IllegalCharacter));
        check("https://a.test/x\r\nHost: b", Err(Malformed::IllegalCharacter));
        check("https://a.test/?x\u{0}", Err(Malformed::IllegalCharacter));
        check("https://a.test/?%0a", Err(Malformed::ControlCharacter));
        check("https://a.test/a/../b", Err(Malformed::DotSegment));
        check(
            &format!("https://a.test/{}", "x".repeat(MAX_URL)),
            Err(Malformed::TooLong),
        );
    }

    proptest! {
        #[test]
        fn canonical_urls_read_back_to_themselves(url in "https?://[a-z.:0-9@%\\[\\]]{0,20}[/?#]?[ -~]{0,20}") {
            if let Ok(target) = Target::parse(&url) {
                prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
            }
        }
    }
}
