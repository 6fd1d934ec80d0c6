//! The fast way agrees with the plain way, for rules and arguments nobody thought of.

use proptest::prelude::*;
use serde_json::json;

use super::super::compile;
use super::super::literals;
use super::super::rule::UrlTrait;
use super::super::scan::Scanner;
use super::super::url::UrlShape;
use super::{compile as rules, defaults};

/// A few letters, so that texts and haystacks meet often.
const SMALL: &str = "[abAB .x\n]{0,24}";

proptest! {
    #[test]
    fn scanning_finds_exactly_the_texts_that_occur(
        texts in proptest::collection::vec("[ab .x]{3,6}", 1..12),
        haystack in SMALL,
    ) {
        let filed: Vec<_> =
            texts.iter().enumerate().map(|(n, text)| (text.as_bytes().to_vec(), 1 << n)).collect();
        let found = Scanner::new(&filed).scan(haystack.as_bytes());
        for (n, text) in texts.iter().enumerate() {
            let occurs = fold(&haystack).contains(text.as_str());
            prop_assert_eq!(found & (1 << n) != 0, occurs, "{:?} in {:?}", text, haystack);
        }
    }

    #[test]
    fn every_match_contains_a_required_text(pattern in pattern(), haystack in SMALL) {
        let regex = compile::regex(&pattern).unwrap();
        let hir = regex_syntax::ParserBuilder::new()
            .case_insensitive(true).unicode(false).utf8(false).build().parse(&pattern).unwrap();
        if let (Some(texts), true) = (literals::required(&hir), regex.is_match(haystack.as_bytes())) {
            let lower = fold(&haystack);
            let occurs = |text: &Vec<u8>| lower.as_bytes().windows(text.len()).any(|window| window == text);
            prop_assert!(texts.iter().any(occurs), "{} on {:?} needs one of {:?}", pattern, haystack, texts);
        }
    }

    #[test]
    fn a_gated_expression_matches_exactly_when_it_does_alone(pattern in pattern(), haystack in SMALL) {
        let text = format!(
            "[[rule]]\nname = 'r'\ntool = 't'\nrisk = 'LOW'\nreason = 'r'\nwhen = [{{ arg = 'a', matches = {} }}]\n",
            json!(pattern)
        );
        let alone = compile::regex(&pattern).unwrap().is_match(haystack.as_bytes());
        let set = rules(&text);
        let matched = set.classify("t", &json!({ "a": haystack })).rules().count() == 1;
        prop_assert_eq!(matched, alone, "{} on {:?}", pattern, haystack);
    }

    #[test]
    fn a_host_we_read_is_the_host_the_url_standard_reads(url in url()) {
        let shape = UrlShape::new(&url);
        if let (Some(host), Ok(parsed)) = (shape.host, url::Url::parse(&url)) {
            let standard = parsed.host_str().unwrap_or("").trim_end_matches('.').to_owned();
            if !shape.is(UrlTrait::IpLiteral) {
                prop_assert_eq!(host.to_ascii_lowercase(), standard, "{}", url);
            }
            let is_ip = !matches!(parsed.host(), Some(url::Host::Domain(_)));
            prop_assert_eq!(shape.is(UrlTrait::IpLiteral), is_ip, "{}", url);
        }
    }

    #[test]
    fn nothing_panics_on_any_text(tool in 0_usize..4, text in ".{0,200}") {
        let (tool, arg) = [("code_execute", "code"), ("file_write", "path"), ("web_fetch", "url"), ("web_search", "query")]
            .get(tool).copied().unwrap();
        let verdict = defaults().classify(tool, &json!({ arg: text }));
        prop_assert!(!verdict.reasons().is_empty());
    }
}

fn fold(text: &str) -> String {
    text.to_ascii_lowercase().replace('\n', " ")
}

/// Regular expressions over the small alphabet, with everything that matters to finding required texts.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abx]{1,4}",
        Just("[ab]".to_owned()),
        Just(r"\s".to_owned()),
        Just(r"\b".to_owned()),
        Just(".".to_owned()),
        Just("^".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            inner.clone().prop_map(|part| format!("({part})+")),
            inner.clone().prop_map(|part| format!("(?:{part})?")),
            inner.clone().prop_map(|part| format!("(?:{part})*")),
            inner.clone().prop_map(|part| format!("(?:{part}){{2}}")),
            inner.prop_map(|part| format!("(?-i:{part})")),
        ]
    })
}

/// Texts that look like URLs, most of them odd.
fn url() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a.example"),
        Just("B"),
        Just("."),
        Just("@"),
        Just(":"),
        Just("\\"),
        Just("/"),
        Just("?"),
        Just("#"),
        Just("127.0.0.1"),
        Just("0x7f.1"),
        Just("1"),
        Just("[::1]"),
        Just("%2e"),
        Just("\t"),
        Just(" "),
        Just("ü"),
        Just("443"),
        Just("99999"),
        Just("-"),
        Just("_"),
    ];
    (
        prop_oneof![
            Just("https://"),
            Just("HTTP://"),
            Just("https:/"),
            Just("ftp://"),
            Just(" http://")
        ],
        proptest::collection::vec(piece, 0..8),
    )
        .prop_map(|(scheme, pieces)| format!("{scheme}{}", pieces.concat()))
}
