//! Why one attempt to ask a provider brought no response, and whether another attempt may.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_redact::Scanner;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::domain::model::{ModelError, Usage};
use crate::peers::is_unreachable;

/// Longest words of a provider that a person is shown, in characters.
const MAX_WORDS: usize = 400;

/// Kinds of errors that the same request would meet again.
const LASTING: [&str; 8] = [
    "insufficient_quota",
    "context_length_exceeded",
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "billing_error",
];

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Fault {
    /// What is told when no other attempt is made.
    pub error: ModelError,
    /// Whether another attempt may go better.
    pub again: Again,
    /// What the attempt cost, as far as the provider said.
    pub usage: Usage,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The same request would fail the same way.
    Never,
    /// Whenever the caller likes.
    Soon,
    /// Not before so much time has passed: the provider said so.
    After(Duration),
}

impl Fault {
    fn failed(reason: Reason, words: String, again: Again) -> Self {
        Self {
            error: ModelError::Failed(Failure::new(Code::Unavailable, reason, words)),
            again,
            usage: Usage::default(),
        }
    }

    /// The connection or the stream broke; what it had brought is worth nothing.
    pub(super) fn broken(words: &str) -> Self {
        let words = format!("The model's provider {words}.");
        Self::failed(Reason::UpstreamFailed, words, Again::Soon)
    }

    /// The provider gave more than is taken.
    pub(super) fn too_long(what: &str) -> Self {
        Self {
            error: ModelError::Invalid(format!("there is more of {what} than what is taken")),
            again: Again::Never,
            usage: Usage::default(),
        }
    }

    /// The way to the provider failed.
    pub(super) fn of_the_way(failure: Failure) -> Self {
        let again = match failure.retry_after {
            Some(wait) => Again::After(wait),
            None if is_unreachable(&failure) => Again::Soon,
            None => Again::Never,
        };
        Self {
            error: ModelError::Failed(failure),
            again,
            usage: Usage::default(),
        }
    }

    /// The provider refused the request; `body` is the beginning of what it said.
    pub(super) fn status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let (words, kind) = words_of(body);
        let number = status.as_u16();
        if matches!(number, 401 | 403) {
            let words = format!(
                "The model's provider does not accept the credential ({number}{words}). Check the upstream's credential."
            );
            return Self::failed(Reason::CredentialUnavailable, words, Again::Never);
        }
        let may = matches!(number, 408 | 409 | 425 | 429) || number >= 500;
        let may = match header(headers, "x-should-retry") {
            Some("true") => true,
            Some("false") => false,
            // no waiting brings back what is not paid for
            _ => may && kind != "insufficient_quota",
        };
        let again = match retry_after(headers) {
            _ if !may => Again::Never,
            Some(wait) => Again::After(wait),
            None => Again::Soon,
        };
        let words = format!("The model's provider refused the request ({number}{words}).");
        Self::failed(Reason::UpstreamFailed, words, again)
    }

    /// The provider broke its stream off with an error of this kind.
    pub(super) fn told(kind: &str, words: &str) -> Self {
        let words = presentable(words);
        let again = if LASTING.contains(&kind) {
            Again::Never
        } else {
            Again::Soon
        };
        let kind = presentable(kind);
        let told = [kind, words].into_iter().filter(|part| !part.is_empty());
        let told: Vec<_> = told.collect();
        let words = format!(
            "The model's provider broke off with an error ({}).",
            told.join(": ")
        );
        Self::failed(Reason::UpstreamFailed, words, again)
    }

    /// The same, and so much was spent on it.
    pub(super) fn spent(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// How long the provider wants to be left alone: `retry-after-ms`, or `Retry-After` in seconds (RFC 9110 §10.2.3). A date
/// would need the provider's clock; then the ordinary pause applies.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name, unit: f64| {
        let value: f64 = header(headers, name)?.parse().ok()?;
        Duration::try_from_secs_f64(value * unit).ok()
    };
    // a date counts from the answer's own, because clocks differ
    let until = || {
        let date = |name| httpdate::parse_http_date(header(headers, name)?).ok();
        date("retry-after")?.duration_since(date("date")?).ok()
    };
    number("retry-after-ms", 0.001)
        .or_else(|| number("retry-after", 1.0))
        .or_else(until)
}

/// What an error's body says, and its kind, in the shapes that are in use.
fn words_of(body: &[u8]) -> (String, String) {
    let value: Value = serde_json::from_slice(body).unwrap_or_else(|_| {
        let plain = body.first().is_some_and(|first| *first != b'<');
        let text = String::from_utf8_lossy(if plain { body } else { b"" });
        Value::String(text.into_owned())
    });
    let (words, kind) = error_in(&value);
    let words = presentable(&words);
    let words = if words.is_empty() {
        words
    } else {
        format!(": {words}")
    };
    (words, kind)
}

/// Message and kind of an error object, wherever it puts them.
pub(super) fn error_in(value: &Value) -> (String, String) {
    let inner = value.get("error").unwrap_or(value);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let words = text(inner)
        .or_else(|| inner.get("message").and_then(text))
        .or_else(|| inner.get("detail").and_then(text))
        .unwrap_or_default();
    let kinds = ["code", "type"].map(|key| inner.get(key).and_then(text).unwrap_or_default());
    // one of the two may say more than the other
    let lasting = kinds.iter().find(|kind| LASTING.contains(&kind.as_str()));
    let kind = lasting.or_else(|| kinds.iter().find(|kind| !kind.is_empty()));
    (words, kind.cloned().unwrap_or_default())
}

/// A provider may repeat what it was sent, and more.
fn presentable(words: &str) -> String {
    let words = Scanner::shared().redact(words).text;
    let words = words
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter });
    words.take(MAX_WORDS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, fields: &[(&'static str, &str)], body: &str, again: Again, words: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        let fault = Fault::status(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
        assert_eq!(fault.again, again, "{status} {fields:?} {body}");
        let told = fault.error.to_string();
        assert!(told.contains(words), "{told}");
    }

    #[test]
    fn what_may_pass_is_tried_again_when_the_provider_says() {
        let seconds = |seconds| Again::After(Duration::from_secs(seconds));
        check(429, &[("retry-after", "7")], "{}", seconds(7), "429");
        check(
            429,
            &[("retry-after", "7"), ("retry-after-ms", "1500")],
            "",
            Again::After(Duration::from_millis(1500)),
            "429",
        );
        check(
            503,
            &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")],
            "",
            Again::Soon,
            "503",
        );
        let date = ("date", "Wed, 21 Oct 2026 07:27:48 GMT");
        let later = ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT");
        let earlier = ("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT");
        check(503, &[date, later], "", seconds(12), "503");
        check(503, &[date, earlier], "", Again::Soon, "503");
        let endless = Again::After(Duration::from_secs_f64(1e19));
        check(503, &[("retry-after", "1e19")], "", endless, "503");
        check(503, &[("retry-after", "-1")], "", Again::Soon, "503");
        check(429, &[("retry-after", "1e300")], "", Again::Soon, "429");
        check(
            529,
            &[],
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Again::Soon,
            "529: Overloaded",
        );
        check(500, &[("x-should-retry", "false")], "", Again::Never, "500");
        check(400, &[("x-should-retry", "true")], "", Again::Soon, "400");
    }

    #[test]
    fn what_cannot_pass_is_not() {
        check(
            400,
            &[],
            r#"{"error":{"message":"no such\nparameter","type":"invalid_request_error"}}"#,
            Again::Never,
            "no such parameter",
        );
        check(
            404,
            &[],
            r#"{"error":"model not found"}"#,
            Again::Never,
            "model not found",
        );
        check(401, &[], r#"{"detail":"bad key"}"#, Again::Never, "credential");
        check(
            429,
            &[],
            r#"{"error":{"code":"insufficient_quota"}}"#,
            Again::Never,
            "429",
        );
        check(302, &[], "<html>", Again::Never, "(302)");
        check(502, &[], &"x".repeat(5000), Again::Soon, &"x".repeat(MAX_WORDS));
    }
}
