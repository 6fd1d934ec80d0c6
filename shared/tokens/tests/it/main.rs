//! The counters against the tokenizers that they stand for.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use harombe_tokens::{Choice, Counter, Encoding, Error, Vocabularies};
use proptest::prelude::*;

const BOTH: [Encoding; 2] = [Encoding::O200k, Encoding::Cl100k];

/// The samples, and what the tokenizer of all-MiniLM-L6-v2 (BERT's, without its special tokens) makes of them. Texts of
/// which it makes a single "unknown" are left out.
const BERT: [(&str, u64); 27] = [
    ("arabic", 540),
    ("base64", 1440),
    ("base64_wrapped", 1713),
    ("chinese", 278),
    ("code_js", 329),
    ("code_python", 424),
    ("code_rust", 477),
    ("english", 297),
    ("finnish", 172),
    ("french", 148),
    ("german", 438),
    ("german_plain", 123),
    ("greek", 140),
    ("hebrew", 119),
    ("hex_upper", 2619),
    ("hindi", 149),
    ("japanese", 325),
    ("json", 1656),
    ("korean", 207),
    ("numbers", 1646),
    ("polish", 94),
    ("punct", 1200),
    ("russian", 379),
    ("table", 436),
    ("urls", 1359),
    ("uuids", 1087),
    ("vietnamese", 79),
];

fn samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let read = |entry: std::fs::DirEntry| {
        let name = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    };
    let samples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| read(entry.unwrap()))
        .collect();
    assert!(samples.len() > 30, "samples are missing");
    samples
}

fn counter(encoding: Encoding) -> Counter {
    Vocabularies::default()
        .counter(&Choice::Encoding(encoding))
        .unwrap()
}

#[test]
fn the_estimate_is_never_more_than_five_percent_under() {
    let counters = BOTH.map(counter);
    for (name, text) in samples() {
        let estimate = Counter::estimate().count(&text);
        let bert = BERT
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, tokens)| *tokens);
        let counted = counters.iter().map(|counter| counter.count(&text));
        for tokens in counted.chain(bert) {
            assert!(estimate * 100 >= tokens * 95, "{name}: {estimate} for {tokens}");
        }
    }
    assert!(
        BERT.iter()
            .all(|(known, _)| samples().iter().any(|(name, _)| name == known))
    );
}

/// How tokenizers that take digits one by one (Qwen's, DeepSeek's) cut a text before they look anything up. Each part costs a
/// token at least, whatever the vocabulary.
const ONE_BY_ONE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Counts those parts: there is no word in its vocabulary.
fn parts() -> Counter {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let tokenizer = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{{"type":"Split","pattern":{{"Regex":"{}"}},"behavior":"Isolated","invert":false}},
        "post_processor":null,"decoder":null,"model":{{"type":"WordLevel","vocab":{{"?":0}},"unk_token":"?"}}}}"#,
        ONE_BY_ONE.replace('\\', r"\\")
    );
    std::fs::write(&path, tokenizer).unwrap();
    Vocabularies::default().counter(&Choice::File(path)).unwrap()
}

#[test]
fn the_estimate_is_not_under_where_each_digit_is_a_token() {
    let parts = parts();
    // of the date 4, of the number 8, and two signs in it; a word, its sign and two spaces
    assert_eq!(parts.count("In 2025: 103,407.52"), 18);
    let made = [
        "1234567890".repeat(200),
        "0x1f4a9b2c7d 12a34b56c78d90 ".repeat(50),
        "2026-11-23T20:07:45.123456Z,".repeat(50),
        "12:59 7 3,14 100% v1.2.3 ".repeat(50),
    ];
    let made = made.into_iter().map(|text| (text.clone(), text));
    for (name, text) in samples().into_iter().chain(made) {
        let (estimate, least) = (Counter::estimate().count(&text), parts.count(&text));
        assert!(
            estimate * 100 >= least * 95,
            "{name}: {estimate} for at least {least}"
        );
    }
}

#[test]
fn the_estimate_of_english_is_close() {
    let text = samples()
        .into_iter()
        .find(|(name, _)| name == "english")
        .unwrap()
        .1;
    let (estimate, tokens) = (
        Counter::estimate().count(&text),
        counter(Encoding::O200k).count(&text),
    );
    assert!(estimate * 100 <= tokens * 115, "{estimate} for {tokens}");
}

#[test]
fn short_texts_are_counted_as_their_provider_does() {
    let exact = [
        tiktoken_rs::o200k_base().unwrap(),
        tiktoken_rs::cl100k_base().unwrap(),
    ];
    for (encoding, exact) in BOTH.into_iter().zip(exact) {
        let counter = counter(encoding);
        assert_eq!(counter.name(), encoding.name());
        for (name, text) in samples() {
            let tokens = exact.encode_ordinary(&text).len() as u64;
            let pieces = text.len().div_ceil(1024) as u64;
            let counted = counter.count(&text);
            assert!(
                (tokens..=tokens + 2 * pieces).contains(&counted),
                "{name}: {counted} for {tokens}"
            );
            if text.len() <= 2048 {
                assert_eq!(counted, tokens, "{name}");
            }
        }
    }
}

#[test]
fn a_long_text_without_a_place_to_cut_it_is_not_counted_under() {
    let exact = tiktoken_rs::o200k_base().unwrap();
    let counter = counter(Encoding::O200k);
    for unit in [
        "a", "A", " ", "\n", " \n", "ab", "Aa", "1", "!", "'S", "中", "🎉", "\u{301}", "xq",
    ] {
        let text = unit.repeat(20_000 / unit.len());
        let (tokens, counted) = (exact.encode_ordinary(&text).len() as u64, counter.count(&text));
        assert!(counted >= tokens, "{unit:?}: {counted} for {tokens}");
        assert!(
            counted <= tokens + tokens / 20 + 20,
            "{unit:?}: {counted} for {tokens}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_can_be_counted(text in "[ \\t\\n\\r'SsaA1é中\u{301}\u{3000}🎉!/]{0,2500}") {
        for encoding in BOTH {
            // nothing of it costs more than its bytes and its cuts
            prop_assert!(SHARED.with(|all| all[usize::from(encoding == Encoding::Cl100k)].count(&text)) <= text.len() as u64 + 8);
        }
    }
}

thread_local! {
    static SHARED: [Counter; 2] = BOTH.map(counter);
}

#[test]
fn a_tokenizers_file_counts_and_anything_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let words = r#"{"version":"1.0","truncation":{"max_length":2,"strategy":"LongestFirst","stride":0,"direction":"Right"},
        "padding":{"strategy":{"Fixed":99},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"?"},
        "added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"?":0,"one":1,"two":2},"unk_token":"?"}}"#;
    std::fs::write(&path, words).unwrap();
    let open = |path: &Path| Vocabularies::default().counter(&Choice::File(path.to_owned()));
    let counter = open(&path).unwrap();
    assert_eq!(counter.name(), "tokenizer.json");
    assert_eq!(
        counter.count("one two three four"),
        4,
        "nothing is cut off, nothing is filled up"
    );

    // Nobody ends a model's turn by writing so.
    let special = words.replace(
        r#""added_tokens":[]"#,
        r#""added_tokens":[{"id":3,"content":"<|endoftext|>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]"#,
    );
    std::fs::write(&path, special).unwrap();
    assert_eq!(
        open(&path).unwrap().count("one <|endoftext|>"),
        4,
        "it is three words, and no sign"
    );

    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(open(&path), Err(Error::NoTokenizer { .. })));
    assert!(matches!(
        open(&folder.path().join("absent")),
        Err(Error::Read { .. })
    ));
}
