//! A stream is redacted as the whole text is, however it is cut.
#![expect(clippy::expect_used, reason = "a fixture that cannot be read fails its test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harombe_redact::{Redactor, Scanner};
use proptest::prelude::*;

fn fixture_texts() -> Vec<Vec<u8>> {
    include_str!("fixtures/secrets.txt")
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|text| STANDARD.decode(text).expect("base64"))
        .collect()
}

fn key_block(lines: usize, end: &str) -> Vec<u8> {
    let mut block = format!("{}BEGIN RSA PRIVATE KEY{}\n", "-----", "-----").into_bytes();
    for line in 0..lines {
        block.extend_from_slice(
            STANDARD
                .encode([b'a' + u8::try_from(line % 20).unwrap_or(0); 48])
                .as_bytes(),
        );
        block.push(b'\n');
    }
    block.extend_from_slice(end.as_bytes());
    block
}

fn whole(text: &[u8]) -> Vec<u8> {
    let mut redactor = Redactor::default();
    let mut out = redactor.push(text);
    out.extend(redactor.finish());
    out
}

fn streamed(text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut redactor = Redactor::default();
    let mut out = Vec::new();
    let (mut at, mut cuts) = (0, cuts.iter().cycle());
    while at < text.len() {
        let size = cuts.next().copied().unwrap_or(1).max(1);
        let end = (at + size).min(text.len());
        out.extend(redactor.push(&text[at..end]));
        at = end;
    }
    out.extend(redactor.finish());
    out
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(fixture_texts()),
        2 => Just(b"\n".to_vec()),
        2 => "[ -~]{0,60}\n".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (0..8_usize).prop_map(|n| key_block(n, "-----END RSA PRIVATE KEY-----")),
        1 => (0..8_usize).prop_map(|n| key_block(n, "")),
        1 => (1..70_000_usize, prop::sample::select(vec![b'a', b' ', b'=', b'"']))
            .prop_map(|(len, byte)| vec![byte; len]),
        1 => Just("\u{200b}\u{ff41}é\r\n".as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_do_not_matter(
        fragments in prop::collection::vec(fragment(), 0..12),
        cuts in prop::collection::vec(prop_oneof![1..40_usize, 1..9000_usize], 1..8),
    ) {
        let text = fragments.concat();
        prop_assert_eq!(streamed(&text, &cuts), whole(&text));
    }

    #[test]
    fn redacting_a_string_is_redacting_its_bytes(fragments in prop::collection::vec(fragment(), 0..8)) {
        let text = String::from_utf8_lossy(&fragments.concat()).into_owned();
        let redacted = Scanner::shared().redact(&text);
        prop_assert_eq!(redacted.text.into_bytes(), whole(text.as_bytes()));
        for finding in redacted.findings {
            prop_assert!(text.get(finding.range).is_some_and(|secret| !secret.is_empty()));
        }
    }
}

#[test]
fn one_byte_at_a_time() {
    for text in fixture_texts() {
        assert_eq!(
            streamed(&text, &[1]),
            whole(&text),
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
}

#[test]
fn a_key_block_over_many_pushes_is_one_finding() {
    let mut text = b"before\n".to_vec();
    text.extend(key_block(20, "-----END RSA PRIVATE KEY-----"));
    text.extend_from_slice(b"\nafter\n");
    let mut redactor = Redactor::default();
    let mut out = Vec::new();
    for chunk in text.chunks(7) {
        out.extend(redactor.push(chunk));
    }
    out.extend(redactor.finish());
    assert_eq!(
        String::from_utf8_lossy(&out),
        "before\n[REDACTED:private_key]\nafter\n"
    );
    assert_eq!(redactor.counts().get("private_key"), Some(&1));
}

#[test]
fn a_key_block_that_stops_short_hides_its_body_only() {
    let mut text = key_block(3, "");
    text.extend_from_slice(b"$ next command with words\n");
    assert_eq!(
        String::from_utf8_lossy(&whole(&text)),
        "[REDACTED:private_key]\n$ next command with words\n"
    );
}

#[test]
fn a_secret_without_end_is_swallowed_without_being_held() {
    let mut redactor = Redactor::default();
    let mut out = redactor.push(b"password='");
    for _ in 0..200 {
        out.extend(redactor.push(&[b'x'; 1024]));
    }
    // far more went in than may be held, so something must have come out
    assert!(out.len() > 100 * 1024);
}

#[test]
fn a_secret_across_the_windows_of_a_long_line_is_found() {
    let secret = ["gh", "p_", "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1"].concat();
    for lead in (24 * 1024 - 60..24 * 1024 + 60).chain(32 * 1024 - 60..32 * 1024 + 20) {
        let text = format!("{} {secret} {}", "-".repeat(lead), "-".repeat(40 * 1024));
        let clean = whole(text.as_bytes());
        assert!(
            memchr::memmem::find(&clean, secret.as_bytes()).is_none(),
            "lead {lead}"
        );
        assert!(
            memchr::memmem::find(&clean, b"[REDACTED:github_token]").is_some(),
            "lead {lead}"
        );
    }
}
