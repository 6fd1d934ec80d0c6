//! One host has one spelling; what has two readings has none.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> Result<String, Malformed> {
    Host::parse(text).map(|host| host.to_string())
}

#[test]
fn spellings_of_one_name_become_one() {
    for text in [
        "api.allowed.test",
        "API.Allowed.TEST",
        "api.allowed.test.",
        "api\u{3002}allowed\u{ff0e}test",
        "\u{ff41}pi.allowed.test",
        "api\u{200b}.allowed.te\u{17f}t",
        "api\u{ad}.allowed.test\u{3002}",
    ] {
        assert_eq!(canonical(text).as_deref(), Ok("api.allowed.test"), "{text:?}");
    }
    assert_eq!(canonical("bücher.test").as_deref(), Ok("xn--bcher-kva.test"));
    assert_eq!(
        canonical("straße.test").as_deref(),
        Ok("xn--strae-oqa.test"),
        "non-transitional"
    );
}

#[test]
fn numbers_are_addresses_only_in_canonical_form() {
    assert_eq!(canonical("93.184.215.14").as_deref(), Ok("93.184.215.14"));
    for text in [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0177.0.0.1",
        "127.000.000.001",
        "127.0.0.1.",
        "0",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "a.0x",
        "017700000001",
        "1.2.3.0x4",
        "api.1",
    ] {
        assert_eq!(canonical(text), Err(Malformed::Ipv4Notation), "{text:?}");
    }
    assert_eq!(canonical("0.0.0.0"), Err(Malformed::Unspecified));
    assert_eq!(
        canonical("127.0.0.1.nip.io").as_deref(),
        Ok("127.0.0.1.nip.io"),
        "a name like any other"
    );
}

#[test]
fn ipv6_is_bracketed_zoneless_and_carries_nothing() {
    assert_eq!(
        canonical("[2606:2800:21F:0:0::1]").as_deref(),
        Ok("[2606:2800:21f::1]")
    );
    assert_eq!(canonical("[::1]").as_deref(), Ok("[::1]"));
    for text in [
        "[::1",
        "[[::1]]",
        "[::1%25eth0]",
        "[fe80::1%eth0]",
        "[api.test]",
        "[v1.x]",
        "[]",
        "[::1]x",
    ] {
        assert_eq!(canonical(text), Err(Malformed::Ipv6Notation), "{text:?}");
    }
    for text in [
        "[::ffff:1.2.3.4]",
        "[::ffff:102:304]",
        "[2606::1.2.3.4]",
        "[64:ff9b::1]",
        "[2002::1]",
    ] {
        assert_eq!(canonical(text), Err(Malformed::EmbeddedIpv4), "{text:?}");
    }
    assert_eq!(canonical("[::]"), Err(Malformed::Unspecified));
}

#[test]
fn tricks_in_names_are_refused() {
    let label = "a".repeat(64);
    let long = [
        "a".repeat(60),
        "b".repeat(60),
        "c".repeat(60),
        "d".repeat(60),
        "e".repeat(20),
    ]
    .join(".");
    for text in [
        "a..test",
        ".a.test",
        "a.test..",
        ".",
        "a b.test",
        "a_b.test",
        "a.test ",
        "*.test",
        "a%2etest",
        "a,b.test",
        "a;b",
        "a\\b",
        "a/b",
        "a?b",
        "a#b",
        "a@b",
        "a:b",
        "a\0b",
        "a\r\nb",
        "xn--a.test",
        "-a.test",
        "a-.test",
        "\u{202e}a.test",
        "a\u{2105}b.test",
        "a\u{2026}test",
        "a\u{2024}test",
        &label,
        &long,
    ] {
        assert_eq!(canonical(text), Err(Malformed::HostName), "{text:?}");
    }
    assert_eq!(canonical(""), Err(Malformed::EmptyHost));
    assert_eq!(canonical(&"a.".repeat(600)), Err(Malformed::TooLong));
}

proptest! {
    #[test]
    fn canonical_form_is_a_fixed_point(text in "\\PC{0,40}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn a_canonical_name_holds_only_letters_digits_hyphens_and_dots(text in "\\PC{0,40}") {
        if let Ok(Host::Name(name)) = Host::parse(&text) {
            prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'));
            prop_assert!(name.as_str().split('.').all(|label| !label.is_empty() && label.len() <= 63));
            prop_assert!(name.as_str().len() <= 253);
            prop_assert!(name.as_str().parse::<IpAddr>().is_err());
        }
    }
}
