//! Which header fields cross the proxy: few go out, and what belongs to one hop or one holder comes not back.

use harombe_redact::{Redactor, Scanner};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::domain::authority::Authority;
use crate::domain::denial::Denial;
use crate::domain::target::Target;

/// What a caller may say about a read. Everything else — credentials, forwarding claims, method and URL
/// overrides, framing — is left out.
const SENDABLE: &[HeaderName] = &[
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::USER_AGENT,
];

/// Fields of a response that concern the connection (RFC 9110 §7.6.1), hand out credentials, or point the
/// client past the proxy.
const WITHHELD: &[HeaderName] = &[
    header::ALT_SVC,
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::WWW_AUTHENTICATE,
];

/// What is sent of the caller's header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    pub fields: HeaderMap,
    /// The fields that were left out, for the record.
    pub withheld: Withheld,
}

/// Most names of left-out fields that are kept.
const MAX_NAMES: usize = 32;

/// Longest name of a left-out field that is kept whole, in bytes; a longer one shows its beginning.
const MAX_NAME: usize = 64;

/// Fields that were left out, in bounds: a caller must not be able to make a record too large for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// The first names.
    pub names: Vec<String>,
    /// How many fields were left out beyond those named.
    pub more: usize,
}

impl Withheld {
    fn add(&mut self, name: &HeaderName) {
        if self.names.len() < MAX_NAMES {
            // A field's name is ASCII.
            self.names.push(name.as_str().chars().take(MAX_NAME).collect());
        } else {
            self.more += 1;
        }
    }
}

/// Sorts the caller's fields into those that are sent and those that are not.
///
/// # Errors
/// A field that is no valid HTTP, one that is given twice, or a Host that is not the URL's.
pub fn outgoing<'a>(
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    target: &Target,
) -> Result<Outgoing, Denial> {
    let mut out = Outgoing::default();
    for (index, (name, value)) in fields.into_iter().enumerate() {
        let syntax = Denial::HeaderSyntax { index };
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(syntax);
        };
        // What is not sent is not read either.
        if name != header::HOST && !SENDABLE.contains(&name) {
            out.withheld.add(&name);
            continue;
        }
        let Ok(value) = HeaderValue::from_str(value) else {
            return Err(syntax);
        };
        if name == header::HOST {
            check_host(&value, target)?;
        } else if out.fields.insert(name, value).is_some() {
            return Err(Denial::HeaderRepeated);
        }
    }
    Ok(out)
}

/// The Host that a caller names must be the host that was decided about; ours is sent in any case.
fn check_host(value: &HeaderValue, target: &Target) -> Result<(), Denial> {
    let text = value.to_str().map_err(|_| Denial::HostHeader)?;
    match Authority::parse(text, Some(target.scheme().default_port())) {
        Ok(authority) if authority == *target.authority() => Ok(()),
        _ => Err(Denial::HostHeader),
    }
}

/// Takes out of a response what must not be passed on, fields named by `Connection` included.
pub fn strip_response(fields: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in WITHHELD.iter().chain(&nominated) {
        fields.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        fields.remove(name);
    }
}

/// Takes secrets out of the values of a response's fields; the name of a field counts as evidence. A field whose value
/// cannot be written any more, or whose name gives a secret away, is left out.
pub fn redact_response(fields: HeaderMap, scanner: &Scanner) -> HeaderMap {
    let mut clean = HeaderMap::with_capacity(fields.len());
    // Of fields with several values only the first has the name.
    let mut last: Option<HeaderName> = None;
    for (name, value) in fields {
        last = name.or(last);
        if let Some(name) = &last
            && let Some(value) = redacted(name, value, scanner)
        {
            clean.append(name.clone(), value);
        }
    }
    clean
}

fn redacted(name: &HeaderName, value: HeaderValue, scanner: &Scanner) -> Option<HeaderValue> {
    let before = [name.as_str().as_bytes(), b": "].concat();
    let line = [before.as_slice(), value.as_bytes()].concat();
    if scanner.scan(&line).is_empty() {
        return Some(value);
    }
    let mut redactor = Redactor::new(scanner);
    let mut clean = redactor.push(&line);
    clean.extend(redactor.finish());
    HeaderValue::from_bytes(clean.strip_prefix(before.as_slice())?).ok()
}

/// Is the answer's body what it seems to be, so that it can be looked through?
pub fn is_plain(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(header::CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::parse("https://api.allowed.test/").expect("a url")
    }

    fn sort(fields: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), Denial> {
        let out = outgoing(fields.iter().copied(), &target())?;
        Ok((
            out.fields.keys().map(|name| name.as_str().to_owned()).collect(),
            out.withheld.names,
        ))
    }

    #[test]
    fn only_harmless_fields_are_sent() {
        let (sent, withheld) = sort(&[
            ("Accept", "text/html"),
            ("Authorization", "Bearer x"),
            ("Cookie", "a=b"),
            ("Proxy-Authorization", "Basic x"),
            ("X-Forwarded-For", "10.0.0.5"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Original-URL", "/admin"),
            ("Connection", "close, X-Harombe"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
        ])
        .expect("sorted");
        assert_eq!(sent, ["accept"]);
        assert_eq!(withheld.len(), 9, "{withheld:?}");
    }

    #[test]
    fn what_is_kept_of_left_out_fields_is_bounded() {
        let long = format!("x-{}", "a".repeat(30_000));
        let names: Vec<_> = (0..40).map(|number| format!("{long}{number}")).collect();
        let fields = names.iter().map(|name| (name.as_str(), "v"));
        let withheld = outgoing(fields, &target()).expect("sorted").withheld;
        assert_eq!((withheld.names.len(), withheld.more), (32, 8));
        assert!(
            withheld
                .names
                .iter()
                .all(|name| name.len() == 64 && long.starts_with(name))
        );
    }

    #[test]
    fn a_host_field_must_name_the_target() {
        for host in ["api.allowed.test", "API.allowed.test.", "api.allowed.test:443"] {
            assert_eq!(sort(&[("Host", host)]), Ok((vec![], vec![])), "{host}");
        }
        for host in [
            "attacker.test",
            "api.allowed.test, attacker.test",
            "x@api.allowed.test",
            "api.allowed.test:80",
            "",
        ] {
            assert_eq!(sort(&[("host", host)]), Err(Denial::HostHeader), "{host}");
        }
    }

    #[test]
    fn malformed_and_repeated_fields_are_refused() {
        for (name, value) in [
            ("Accept ", "x"),
            ("", "x"),
            ("a:b", "x"),
            ("ä", "x"),
            ("accept", "a\r\nHost: b"),
            ("accept", "a\0"),
        ] {
            assert_eq!(
                sort(&[(name, value)]),
                Err(Denial::HeaderSyntax { index: 0 }),
                "{name:?} {value:?}"
            );
        }
        assert_eq!(
            sort(&[("Accept", "a"), ("accept", "b")]),
            Err(Denial::HeaderRepeated)
        );
    }

    #[test]
    fn a_response_loses_what_belongs_to_the_hop() {
        let mut fields = HeaderMap::new();
        for name in [
            "connection",
            "keep-alive",
            "x-hop",
            "set-cookie",
            "alt-svc",
            "upgrade",
            "transfer-encoding",
            "location",
            "content-type",
        ] {
            fields.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        fields.insert(header::CONNECTION, HeaderValue::from_static("close, X-Hop"));
        strip_response(&mut fields);
        let mut left: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-type", "location"]);
    }

    #[test]
    fn secrets_in_a_responses_fields_are_taken_out() {
        let token = ["gh", "p_", "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1"].concat();
        let mut fields = HeaderMap::new();
        let mut add = |name: &'static str, value: String| {
            fields.append(name, HeaderValue::from_str(&value).expect("a value"));
        };
        add("location", format!("https://a.test/?t={token}&x=1"));
        add("content-type", format!("text/plain; note={token}"));
        add("x-api-key", "0aZ9-8bY7xQw3-Kd81".to_owned());
        add("link", "<https://a.test/2>; rel=next".to_owned());
        add("link", format!("<https://a.test/{token}>"));
        add("etag", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\"".to_owned());
        let clean = redact_response(fields, Scanner::shared());
        let all = |name: &str| -> Vec<String> {
            let values = clean.get_all(name).iter();
            values
                .map(|value| value.to_str().expect("text").to_owned())
                .collect()
        };
        assert_eq!(all("location"), ["https://a.test/?t=[REDACTED:github_token]&x=1"]);
        assert_eq!(all("content-type"), ["text/plain; note=[REDACTED:github_token]"]);
        assert_eq!(all("x-api-key"), ["[REDACTED:api_key]"]);
        assert_eq!(all("link").len(), 2);
        assert_eq!(all("link")[0], "<https://a.test/2>; rel=next");
        assert!(!all("link")[1].contains("kB4G60"));
        assert_eq!(all("etag"), ["\"33a64df551425fcc55e4d42a148795d9f25f89d4\""]);
    }

    #[test]
    fn a_coded_answer_is_not_plain() {
        let mut fields = HeaderMap::new();
        assert!(is_plain(&fields));
        fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static("Identity"));
        assert!(is_plain(&fields));
        fields.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_plain(&fields));
    }
}
