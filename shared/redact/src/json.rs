//! Redaction of JSON: names of keys count as evidence, and so does everything inside strings.

use serde_json::{Map, Value};

use crate::names::{self, Class};
use crate::{Scanner, marker};

impl Scanner {
    /// Replaces the secrets in `value`, at any depth: in strings, and strings and numbers under a sensitive key
    /// (lists under such a key included). Returns how many were replaced.
    ///
    /// Object keys themselves are scanned too: a secret used as a key is replaced.
    pub fn redact_json(&self, value: &mut Value) -> u64 {
        match value {
            Value::String(text) => self.redact_string(text),
            Value::Array(items) => items.iter_mut().map(|item| self.redact_json(item)).sum(),
            Value::Object(fields) => self.redact_object(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    fn redact_string(&self, text: &mut String) -> u64 {
        let redacted = self.redact(text);
        let count = u64::try_from(redacted.findings.len()).unwrap_or(u64::MAX);
        if count > 0 {
            *text = redacted.text;
        }
        count
    }

    fn redact_object(&self, fields: &mut Map<String, Value>) -> u64 {
        let mut count = 0;
        for (key, value) in fields.iter_mut() {
            count += match names::classify(key.as_bytes()) {
                Some(class) => self.redact_named(class, value),
                None => self.redact_json(value),
            };
        }
        let leaking: Vec<String> = fields
            .keys()
            .filter(|key| !self.scan(key).is_empty())
            .cloned()
            .collect();
        for key in leaking {
            if let Some(value) = fields.remove(&key) {
                fields.insert(self.redact(&key).text, value);
                count += 1;
            }
        }
        count
    }

    fn redact_named(&self, class: Class, value: &mut Value) -> u64 {
        match value {
            Value::String(text) if text.is_empty() => 0,
            Value::String(text) => {
                // a shape that names its provider says more than the key
                let kind = match self.scan(&*text).as_slice() {
                    [only] if only.range == (0..text.len()) => only.kind,
                    _ => class.kind(),
                };
                *text = marker(kind);
                1
            }
            Value::Number(_) => {
                *value = Value::String(marker(class.kind()));
                1
            }
            Value::Array(items) => items.iter_mut().map(|item| self.redact_named(class, item)).sum(),
            Value::Object(_) | Value::Null | Value::Bool(_) => self.redact_json(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut value: Value, expected: &Value, count: u64) {
        let replaced = Scanner::shared().redact_json(&mut value);
        assert_eq!(&value, expected);
        assert_eq!(replaced, count);
    }

    #[test]
    fn sensitive_keys_hide_what_they_hold() {
        check(
            json!({"password": "x", "pin": 1, "api_key": 12345, "nested": {"Token": ["a", 2, {"a": "b"}]}, "secret": ""}),
            &json!({"password": "[REDACTED:password]", "pin": 1, "api_key": "[REDACTED:api_key]",
                    "nested": {"Token": ["[REDACTED:token]", "[REDACTED:token]", {"a": "b"}]}, "secret": ""}),
            4,
        );
    }

    #[test]
    fn harmless_keys_hide_nothing() {
        let value = json!({"monkey": "banana", "max_tokens": 100, "token_type": "bearer", "password": null, "auth": true});
        check(value.clone(), &value, 0);
    }

    #[test]
    fn strings_are_scanned_at_any_depth() {
        check(
            json!([{"log": ["export DB_PASSWORD=hunter2222 # set"]}]),
            &json!([{"log": ["export DB_PASSWORD=[REDACTED:password] # set"]}]),
            1,
        );
    }
}
