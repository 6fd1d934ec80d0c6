use http::HeaderValue;

use super::*;

fn check(name: &'static str, value: &str, expected: bool) {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    let found = offered(&headers);
    assert_eq!(matches!(found, Offered::Key(_)), expected, "{name}: {value}");
    assert!(!matches!(found, Offered::Nothing));
}

#[test]
fn keys_are_read_from_the_headers_that_clients_send() {
    let key = ApiKey::generate().unwrap().reveal();
    check("authorization", &format!("Bearer {key}"), true);
    check("authorization", &format!("bearer  {key}"), true);
    check("x-api-key", &key, true);
    check("authorization", &key, false);
    check("authorization", &format!("Basic {key}"), false);
    check("authorization", "Bearer", false);
    check("x-api-key", &format!("Bearer {key}"), false);
    check("x-api-key", "", false);
    assert!(matches!(offered(&HeaderMap::new()), Offered::Nothing));
}

#[test]
fn the_log_learns_where_from_and_why() {
    let key = ApiKey::generate().unwrap();
    let why = Why::unfit(Unfit::Unknown, key.id());
    let origin = Origin::address("192.0.2.1".parse().unwrap());
    assert_eq!(
        details(origin, &why, 3),
        json!({"door": "network", "peer": "192.0.2.1", "why": "unknown", "key_id": key.id().as_str(), "attempts": 3})
    );
    assert_eq!(
        details(Origin::Socket(None), &Why::stranger(), 1),
        json!({"door": "socket", "uid": null, "why": "stranger"})
    );
}
