//! Calls: the exact document, what is refused, and that no change goes unnoticed.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CallParts, CanonicalCall};
use crate::{Digest, Error};

fn encode(args: &Value) -> Result<CanonicalCall, Error> {
    let (tenant, agent, run, call, tool) = ("t-1", "default", "r-1", "c-1", "code_execute");
    CanonicalCall::new(CallParts {
        tenant,
        agent,
        run,
        call,
        tool,
        args,
    })
}

#[test]
fn the_document() {
    let call = encode(&json!({"language": "python", "code": "print(1)", "limit": 2.0})).unwrap();
    let expected = concat!(
        r#"{"agent":"default","args":{"code":"print(1)","language":"python","limit":2},"#,
        r#""call":"c-1","run":"r-1","tenant":"t-1","tool":"code_execute","v":1}"#,
    );
    assert_eq!(std::str::from_utf8(call.bytes()), Ok(expected));
    assert_eq!(call.digest(), Digest::of(expected.as_bytes()));
    // SHA-256 of that document, computed with another program.
    assert_eq!(
        call.digest().to_string(),
        "66e51e22168d3470c06dc14ab6a341546605425d6f50a2f223fb5c00706b2cc0"
    );
    assert_eq!(call.args()["limit"].as_i64(), Some(2));
    assert_eq!(
        (call.tenant(), call.agent(), call.run(), call.call(), call.tool()),
        ("t-1", "default", "r-1", "c-1", "code_execute"),
    );
    assert_eq!(CanonicalCall::parse(call.bytes()), Ok(call));
}

#[test]
fn refuses_what_is_not_a_call() {
    let check = |text: &str, expected: Error| {
        assert_eq!(CanonicalCall::parse(text.as_bytes()), Err(expected), "{text}");
    };
    let whole = r#"{"agent":"a","args":{},"call":"c","run":"r","tenant":"t","tool":"x","v":1}"#;
    assert!(CanonicalCall::parse(whole.as_bytes()).is_ok());
    check(&whole.replace("\"v\":1", "\"v\":2"), Error::Version);
    check(&whole.replace("\"v\":1", "\"v\":\"1\""), Error::Version);
    check(&whole.replace(",\"v\":1", ""), Error::Member("v"));
    check(&whole.replace("\"v\":1", "\"v\":1,\"w\":1"), Error::UnknownMember);
    check(&whole.replace("\"args\":{},", ""), Error::Member("args"));
    check(&whole.replace("{}", "[]"), Error::Member("args"));
    check(&whole.replace("{}", "null"), Error::Member("args"));
    check(&whole.replace("\"run\":\"r\",", ""), Error::Member("run"));
    check(&whole.replace("\"r\"", "\"\""), Error::Member("run"));
    check(&whole.replace("\"t\"", "7"), Error::Member("tenant"));
    check(&whole.replace(",\"", ", \""), Error::NotCanonical);
    check("[]", Error::Member("v"));
    assert!(encode(&json!([1])).is_err());
    assert!(encode(&json!({"n": u64::MAX})).is_err());
    let deep = (0..64).fold(json!(1), |inner, _| json!({ "a": inner }));
    assert_eq!(encode(&deep), Err(Error::TooDeep));
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused_or_changes_the_digest(
        code in ".{0,40}",
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let call = encode(&json!({"code": code, "n": [1, 2.5, true, null]})).unwrap();
        let mut bytes = call.bytes().to_owned();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(other) = CanonicalCall::parse(&bytes) {
            prop_assert_ne!(other.digest(), call.digest());
            prop_assert_ne!(other, call);
        }
    }

    #[test]
    fn reading_gives_back_what_was_written(code in any::<String>(), key in any::<String>(), n in any::<i32>()) {
        let call = encode(&json!({"code": code, key: n})).unwrap();
        prop_assert_eq!(CanonicalCall::parse(call.bytes()), Ok(call));
    }
}
