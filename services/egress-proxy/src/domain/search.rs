//! How search services are asked and what they answer, and the one shape that a search has for us.

use harombe_config::JsonSchema;
use harombe_redact::Scanner;
use serde::{Deserialize, Serialize};

use crate::domain::call::SearchCall;

/// Which answers the search service gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(rename_all = "lowercase")]
pub enum Search {
    /// `GET /search?q=…&format=json`.
    Searxng,
    /// `GET /res/v1/web/search?q=…`.
    Brave,
}

/// Longest texts of a result, in characters; a longer address is no address that anyone opens.
const MAX_TITLE: usize = 300;
const MAX_URL: usize = 2048;
const MAX_SNIPPET: usize = 1000;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchResult {
    pub title: String,
    pub url: String,
    pub snippet: String,
}

/// Path and query that ask for a call, below the service's own path.
pub fn target(kind: Search, call: &SearchCall) -> String {
    let query = encode(&call.query);
    match kind {
        Search::Searxng => format!("/search?q={query}&format=json"),
        Search::Brave => format!("/res/v1/web/search?q={query}&count={}", call.max_results),
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters. A control character becomes a blank: what a server makes of an
/// encoded line's end is nobody's to find out.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_control() => out.push_str("%20"),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[derive(Deserialize)]
struct Searxng {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Brave {
    #[serde(rename = "type")]
    kind: String,
    /// Absent when nothing was found.
    web: Option<BraveWeb>,
}

#[derive(Deserialize)]
struct BraveWeb {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default, alias = "description")]
    content: Option<String>,
}

/// The first `most` results of an answer, without secrets; `None` when it is no answer of that service. A result that leads
/// nowhere on the web is left out.
pub fn read(kind: Search, answer: &[u8], most: usize, scanner: &Scanner) -> Option<Vec<SearchResult>> {
    let found = match kind {
        Search::Searxng => serde_json::from_slice::<Searxng>(answer).ok()?.results,
        Search::Brave => {
            let answer = serde_json::from_slice::<Brave>(answer).ok()?;
            if answer.kind != "search" {
                return None;
            }
            answer.web.map(|web| web.results).unwrap_or_default()
        }
    };
    let result = |found: Found| {
        let web = ["https://", "http://"]
            .iter()
            .any(|scheme| found.url.starts_with(scheme));
        let plain = found.url.len() <= MAX_URL && found.url.bytes().all(|byte| byte.is_ascii_graphic());
        (web && plain).then(|| SearchResult {
            title: shown(&found.title.unwrap_or_default(), MAX_TITLE, scanner),
            snippet: shown(&found.content.unwrap_or_default(), MAX_SNIPPET, scanner),
            url: scanner.redact(&found.url).text,
        })
    };
    Some(found.into_iter().filter_map(result).take(most).collect())
}

/// The words of a text without the secrets in them, for pages leak them; cut at `most` characters, and not before: half a
/// secret is not recognised.
fn shown(text: &str, most: usize, scanner: &Scanner) -> String {
    scanner.redact(&words(text)).text.chars().take(most).collect()
}

/// The text between tags, entities resolved, blanks and control characters made single blanks.
fn words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('<') {
        plain.push_str(before);
        let is_tag = tail.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
        match tail.split_once('>') {
            Some((_, after)) if is_tag => rest = after,
            _ => {
                plain.push('<');
                rest = tail;
            }
        }
    }
    plain.push_str(rest);
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(entity, character);
    }
    let blank = |character: char| character.is_whitespace() || character.is_control();
    let words: Vec<_> = plain.split(blank).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The results in JSON, as many from the first on as fit.
pub fn write(mut results: Vec<SearchResult>, max_bytes: u64) -> Vec<u8> {
    loop {
        let text = serde_json::to_vec(&serde_json::json!({ "results": results })).unwrap_or_default();
        let fits = u64::try_from(text.len()).is_ok_and(|length| length <= max_bytes);
        if fits || results.pop().is_none() {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(query: &str) -> SearchCall {
        SearchCall {
            query: query.to_owned(),
            max_results: 5,
        }
    }

    fn found(kind: Search, answer: &str) -> Option<Vec<SearchResult>> {
        read(kind, answer.as_bytes(), 20, Scanner::shared())
    }

    #[test]
    fn a_query_is_nothing_but_a_query() {
        let target = |query| target(Search::Searxng, &call(query));
        assert_eq!(target("rust lang"), "/search?q=rust%20lang&format=json");
        assert_eq!(
            target("a&format=html#x"),
            "/search?q=a%26format%3Dhtml%23x&format=json"
        );
        assert_eq!(
            target("ä\r\nHost: b"),
            "/search?q=%C3%A4%20%20Host%3A%20b&format=json"
        );
        assert_eq!(target("%0a/.."), "/search?q=%250a%2F..&format=json");
        assert_eq!(
            super::target(Search::Brave, &call("x")),
            "/res/v1/web/search?q=x&count=5"
        );
    }

    #[test]
    fn both_shapes_become_one() {
        let expected = vec![SearchResult {
            title: "A & B".to_owned(),
            url: "https://a.test/x".to_owned(),
            snippet: "one two < three".to_owned(),
        }];
        let searxng = json!({"query": "x", "number_of_results": 0, "results": [
            {"url": "https://a.test/x", "title": "A &amp; B", "content": "one\n<b>two</b> < three", "engine": "e", "score": 1.0},
            {"url": "javascript:alert(1)", "title": "t", "content": "c"},
            {"url": "https://a.test/ x", "title": "t", "content": "c"},
        ]});
        let brave = json!({"type": "search", "query": {"original": "x"}, "web": {"type": "search", "results": [
            {"url": "https://a.test/x", "title": "A & B", "description": "one <strong>two</strong> &lt; three", "age": "1 day"},
        ]}});
        assert_eq!(
            found(Search::Searxng, &searxng.to_string()),
            Some(expected.clone())
        );
        assert_eq!(found(Search::Brave, &brave.to_string()), Some(expected));
        assert_eq!(
            found(Search::Brave, r#"{"type":"search"}"#),
            Some(vec![]),
            "nothing found"
        );
    }

    #[test]
    fn no_part_of_a_result_shows_a_secret_not_even_by_half() {
        let (prefix, core) = (["gh", "p_"].concat(), "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1");
        let hides = |answer: serde_json::Value| {
            let found = found(Search::Searxng, &answer.to_string()).expect("an answer");
            let text = serde_json::to_string(&found).expect("json");
            for telling in core.as_bytes().windows(8) {
                assert!(memchr::memmem::find(text.as_bytes(), telling).is_none(), "{text}");
            }
            found
        };
        let results = hides(json!({"results": [
            {"url": format!("https://a.test/x?t={prefix}{core}"), "title": format!("{prefix}<b>{core}</b>")},
        ]}));
        assert_eq!(results[0].url, "https://a.test/x?t=[REDACTED:github_token]");
        assert_eq!(results[0].title, "[REDACTED:github_token]");
        for lead in MAX_SNIPPET - 45..MAX_SNIPPET {
            let content = format!("{} {prefix}{core}", "ä".repeat(lead));
            let title = format!("{} {prefix}{core}", "ä".repeat(MAX_TITLE + lead - MAX_SNIPPET));
            let results =
                hides(json!({"results": [{"url": "https://a.test/", "title": title, "content": content}]}));
            assert_eq!(results[0].snippet.chars().count(), MAX_SNIPPET.min(lead + 24));
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            "null",
            "<html>",
            r#"{"results":{}}"#,
            r#"{"results":[{}]}"#,
            r#"{"type":"error"}"#,
        ] {
            assert_eq!(found(Search::Searxng, text), None, "{text}");
            assert_eq!(found(Search::Brave, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_given_back_is_bounded() {
        let result = SearchResult {
            title: "t".to_owned(),
            url: "https://a.test".to_owned(),
            snippet: "s".repeat(100),
        };
        let text = write(vec![result; 10], 500);
        assert!(text.len() <= 500);
        let value: serde_json::Value = serde_json::from_slice(&text).expect("json");
        assert_eq!(value["results"].as_array().map(Vec::len), Some(3));
        let long = shown(&"ä".repeat(5000), MAX_SNIPPET, Scanner::shared());
        assert_eq!(long.chars().count(), MAX_SNIPPET);
        assert_eq!(write(vec![], 0), br#"{"results":[]}"#);
    }
}
