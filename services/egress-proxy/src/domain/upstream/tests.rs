use proptest::prelude::*;

use super::*;

fn base(url: &str) -> Target {
    Target::parse(url).expect("a url")
}

fn joined(url: &str, target: &str) -> Result<String, Unfit> {
    join(&base(url), &target.parse().map_err(|_| Unfit::Escapes)?)
}

#[test]
fn a_path_is_put_behind_the_upstreams_own() {
    for (url, target, expected) in [
        ("https://a.test", "/v1/messages", "/v1/messages"),
        ("https://a.test/v1", "/chat/completions", "/v1/chat/completions"),
        (
            "https://a.test/v1/",
            "/chat/completions?a=b/c",
            "/v1/chat/completions?a=b/c",
        ),
        ("https://a.test/v1", "/", "/v1/"),
    ] {
        assert_eq!(joined(url, target).as_deref(), Ok(expected));
    }
}

#[test]
fn no_target_leads_out_of_the_upstreams_path() {
    for target in [
        "/../admin",
        "/a/../../admin",
        "/%2e%2e/admin",
        "/.%2E/admin",
        "/..;/admin",
        "/..%2fadmin",
        "/..%5cadmin",
        "/%252e%252e/admin",
        "/a%00",
        "/a%0d%0aHost:%20b",
        "/a\\..\\b",
    ] {
        assert_eq!(
            joined("https://a.test/v1", target),
            Err(Unfit::Escapes),
            "{target}"
        );
    }
    for target in ["http://b.test/", "b.test:443", "*", "//b.test/x"] {
        assert!(joined("https://a.test/v1", target).is_err(), "{target}");
    }
    assert_eq!(
        joined("https://a.test", &format!("/{}", "x".repeat(MAX_TARGET))),
        Err(Unfit::Escapes)
    );
}

proptest! {
    #[test]
    fn whatever_is_joined_stays_below(target in "/[a-z./%25;\\\\?]{0,24}") {
        if let Ok(path) = joined("https://a.test/v1", &target) {
            prop_assert!(path.starts_with("/v1/"));
            let path = path.split('?').next().unwrap_or_default();
            prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
        }
    }
}

#[test]
fn a_callers_credentials_are_left_out_in_every_spelling() {
    let mut given = HeaderMap::new();
    let names = [
        "Authorization",
        "AUTHORIZATION",
        "authorization",
        "X-Api-Key",
        "x_api_key",
        "X-API-KEY",
        "Api-Key",
        "Cookie",
        "Cookie2",
        "Proxy-Authorization",
        "Proxy-Connection",
        "X-Goog-Api-Key",
        "X-Subscription-Token",
        "Forwarded",
        "X-Forwarded-For",
        "X-Real-Ip",
        "X-Original-Url",
        "X-Http-Method-Override",
        "Expect",
        "Te",
        "Keep-Alive",
        "Host",
        "Accept-Encoding",
        "Connection",
        "Authorization.",
        "Www-Authenticate",
    ];
    for name in names {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        given.append(name, HeaderValue::from_static("stolen"));
    }
    given.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    given.insert("anthropic-version", HeaderValue::from_static("from-caller"));
    let mut own = HeaderMap::new();
    own.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let sent = outgoing(&given, &own, HeaderValue::from_static("a.test"));
    let mut sent: Vec<_> = sent
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
        .collect();
    sent.sort();
    assert_eq!(
        sent,
        [
            "accept-encoding: identity",
            "anthropic-version: 2023-06-01",
            "content-type: application/json",
            "host: a.test"
        ]
    );
}

#[test]
fn an_answer_loses_its_hop_and_its_cookies() {
    let mut fields = HeaderMap::new();
    for name in [
        "set-cookie",
        "connection",
        "x-hop",
        "upgrade",
        "transfer-encoding",
        "proxy-authenticate",
        "alt-svc",
    ] {
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static("x-hop"));
    }
    for name in [
        "content-type",
        "location",
        "retry-after",
        "request-id",
        "content-length",
    ] {
        fields.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
    }
    incoming(&mut fields);
    let mut left: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            "content-length",
            "content-type",
            "location",
            "request-id",
            "retry-after"
        ]
    );
}
