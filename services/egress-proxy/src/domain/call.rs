//! The arguments of `web_fetch` and `web_search`, as they stand in the canonical call that a grant covers.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Longest body that is returned when the call does not say, in bytes.
pub const DEFAULT_MAX_BYTES: u64 = 1024 * 1024;

/// Longest body a call can ask for, in bytes.
pub const MAX_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Most header fields a call may carry.
const MAX_HEADERS: usize = 32;

/// Longest query of a search, in bytes.
const MAX_QUERY: usize = 2048;

/// Results that a search gives back when the call does not say, and at most.
const DEFAULT_RESULTS: u8 = 8;
const MAX_RESULTS: u8 = 20;

/// Arguments that describe neither a fetch nor a search.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCall {
    #[error("the arguments are not those of web_fetch: url, method, headers, max_bytes")]
    Shape(#[source] serde_json::Error),
    #[error("max_bytes must be from 1 to {MAX_MAX_BYTES}")]
    MaxBytes,
    #[error("at most {MAX_HEADERS} header fields")]
    Headers,
    #[error("the arguments are not those of web_search: query, max_results")]
    SearchShape(#[source] serde_json::Error),
    #[error("query must have from 1 to {MAX_QUERY} bytes and something to look for")]
    Query,
    #[error("max_results must be from 1 to {MAX_RESULTS}")]
    MaxResults,
}

/// What the model asked for; nothing in it is trusted until it is decided.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchCall {
    pub url: String,
    #[serde(default = "get")]
    pub method: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
}

impl FetchCall {
    /// # Errors
    /// Unknown or missing arguments, or limits out of range.
    pub fn from_args(args: serde_json::Value) -> Result<Self, InvalidCall> {
        let call: Self = serde_json::from_value(args).map_err(InvalidCall::Shape)?;
        if !(1..=MAX_MAX_BYTES).contains(&call.max_bytes) {
            return Err(InvalidCall::MaxBytes);
        }
        if call.headers.len() > MAX_HEADERS {
            return Err(InvalidCall::Headers);
        }
        Ok(call)
    }
}

/// What the model wants to look for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchCall {
    pub query: String,
    #[serde(default = "default_results")]
    pub max_results: u8,
}

impl SearchCall {
    /// # Errors
    /// Unknown or missing arguments, or limits out of range.
    pub fn from_args(args: serde_json::Value) -> Result<Self, InvalidCall> {
        let call: Self = serde_json::from_value(args).map_err(InvalidCall::SearchShape)?;
        if call.query.trim().is_empty() || call.query.len() > MAX_QUERY {
            return Err(InvalidCall::Query);
        }
        if !(1..=MAX_RESULTS).contains(&call.max_results) {
            return Err(InvalidCall::MaxResults);
        }
        Ok(call)
    }
}

fn default_results() -> u8 {
    DEFAULT_RESULTS
}

fn get() -> String {
    "GET".to_owned()
}

fn default_max_bytes() -> u64 {
    DEFAULT_MAX_BYTES
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_url_is_enough() {
        let call = FetchCall::from_args(json!({"url": "https://a.test/"})).expect("a call");
        assert_eq!(
            (call.method.as_str(), call.max_bytes, call.headers.len()),
            ("GET", DEFAULT_MAX_BYTES, 0)
        );
    }

    #[test]
    fn a_search_is_a_query_within_bounds() {
        let call = SearchCall::from_args(json!({"query": "rust"})).expect("a call");
        assert_eq!((call.query.as_str(), call.max_results), ("rust", DEFAULT_RESULTS));
        for args in [
            json!({}),
            json!({"query": 7}),
            json!({"query": " "}),
            json!({"query": "x".repeat(MAX_QUERY + 1)}),
            json!({"query": "x", "max_results": 0}),
            json!({"query": "x", "max_results": 21}),
            json!({"query": "x", "max_results": -1}),
            json!({"query": "x", "url": "https://a.test"}),
        ] {
            assert!(SearchCall::from_args(args.clone()).is_err(), "{args}");
        }
    }

    #[test]
    fn what_the_schema_does_not_know_is_refused() {
        let many: BTreeMap<String, String> = (0..33).map(|n| (format!("x-{n}"), String::new())).collect();
        for args in [
            json!({}),
            json!([]),
            json!({"url": 7}),
            json!({"url": "x", "body": "y"}),
            json!({"url": "x", "max_bytes": 0}),
            json!({"url": "x", "max_bytes": -1}),
            json!({"url": "x", "max_bytes": MAX_MAX_BYTES + 1}),
            json!({"url": "x", "headers": {"a": 1}}),
            json!({"url": "x", "headers": many}),
        ] {
            assert!(FetchCall::from_args(args.clone()).is_err(), "{args}");
        }
    }
}
