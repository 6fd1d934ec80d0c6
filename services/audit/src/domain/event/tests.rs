//! What events are refused, and what becomes of the details of those that are not.

use harombe_redact::Scanner;
use harombe_types::ServiceName;
use zeroize::Zeroizing;

use super::{Draft, Event};
use crate::Error;
use crate::domain::DataKey;
use crate::fixture::{LIMITS, Writer, at};

fn key() -> DataKey {
    DataKey::new([1; 16], &Zeroizing::new([2; 32])).unwrap()
}

fn draft(event: Event) -> Result<Draft, Error> {
    event.draft(&key(), Scanner::shared(), LIMITS)
}

fn event() -> Event {
    Writer::new(ServiceName::Hitl).event("alpha", "call.authorized")
}

fn with_details(details: &str) -> Result<Option<String>, Error> {
    let event = Event {
        details: details.to_owned(),
        ..event()
    };
    let draft = draft(event)?;
    Ok(draft
        .sealed
        .map(|sealed| String::from_utf8(key().open(&draft.id, &sealed).unwrap()).unwrap()))
}

#[test]
fn the_leaf_says_what_the_event_says() {
    let event = Event {
        time: at(1_795_392_000_123),
        ..event()
    };
    let leaf = draft(event.clone()).unwrap().leaf;
    assert_eq!(leaf.event_id, event.id.to_string());
    assert_eq!(
        (
            leaf.tenant.as_str(),
            leaf.service.as_str(),
            leaf.claimed_by.as_str()
        ),
        ("alpha", "hitl", "")
    );
    assert_eq!(
        (leaf.kind.as_str(), leaf.outcome.as_str()),
        ("call.authorized", "ok")
    );
    assert_eq!(leaf.time, "2026-11-23T00:00:00.123Z");
    assert_eq!(leaf.run, event.run.unwrap().to_string());
    assert_eq!(leaf.approval, "");
    assert_eq!(leaf.nonce.len(), 32);
    assert_ne!(leaf.nonce, draft(event).unwrap().leaf.nonce);
}

#[test]
fn what_runtime_writes_is_marked_as_its_claim() {
    let event = Writer::new(ServiceName::Runtime).event("alpha", "run.started");
    assert_eq!(draft(event).unwrap().leaf.claimed_by, "runtime");
}

#[test]
fn details_are_kept_without_secrets() {
    assert_eq!(with_details("").unwrap(), None);
    assert_eq!(with_details("{ }").unwrap(), None);
    assert_eq!(
        with_details(r#"{"b": 1.0, "a": "x"}"#).unwrap().unwrap(),
        r#"{"a":"x","b":1}"#
    );
    let secret = "hunter2-correct-horse-9Q";
    let kept = with_details(&format!(r#"{{"env": {{"password": "{secret}"}}}}"#))
        .unwrap()
        .unwrap();
    assert!(!kept.contains(secret), "{kept}");
    assert!(kept.contains("REDACTED"), "{kept}");
}

#[test]
fn refuses_details_that_are_not_one_object() {
    for details in [
        "[]",
        "1",
        "null",
        "{",
        r#"{"a":1,"a":2}"#,
        r#"{"a":9007199254740993}"#,
        "x",
    ] {
        assert!(
            matches!(with_details(details), Err(Error::Details(_) | Error::Invalid(_))),
            "{details}"
        );
    }
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(LIMITS.details));
    assert!(matches!(with_details(&large), Err(Error::TooLarge { .. })));
}

#[test]
fn refuses_malformed_fields() {
    let text = |text: &str| text.to_owned();
    let cases = [
        Event {
            kind: text(""),
            ..event()
        },
        Event {
            kind: text("started"),
            ..event()
        },
        Event {
            kind: text("exec..started"),
            ..event()
        },
        Event {
            kind: text("Exec.started"),
            ..event()
        },
        Event {
            kind: text("exec.started\n"),
            ..event()
        },
        Event {
            kind: format!("a.{}", "b".repeat(64)),
            ..event()
        },
        Event {
            principal: text(""),
            ..event()
        },
        Event {
            principal: text("person:a\nb"),
            ..event()
        },
        Event {
            outcome: text(""),
            ..event()
        },
        Event {
            outcome: "x".repeat(257),
            ..event()
        },
        Event {
            policy_version: text("\u{7}"),
            ..event()
        },
        Event {
            instance_seq: 0,
            ..event()
        },
    ];
    for case in cases {
        assert!(matches!(draft(case.clone()), Err(Error::Invalid(_))), "{case:?}");
    }
}
