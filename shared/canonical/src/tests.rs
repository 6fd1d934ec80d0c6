//! The reader and the encoder together, against the RFC's examples and each other.

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

use super::{Error, MAX_DEPTH, canonicalize, parse, parse_canonical, to_vec};

fn check(input: &str, expected: &str) {
    let canonical = canonicalize(input.as_bytes());
    assert_eq!(
        canonical.map(|bytes| String::from_utf8(bytes).unwrap()),
        Ok(expected.to_owned()),
        "{input}"
    );
}

fn refused(input: &[u8], expected: Error) {
    assert_eq!(
        canonicalize(input),
        Err(expected),
        "{}",
        String::from_utf8_lossy(input)
    );
}

#[test]
fn rfc_8785_section_3_2_2() {
    check(
        r#"{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"#,
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
         \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
    );
}

#[test]
fn rfc_8785_section_3_2_3() {
    check(
        r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
            "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
         \"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\
         \"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
    );
}

#[test]
fn rfc_8785_appendix_b() {
    for (bits, expected) in [
        (0x0000_0000_0000_0000_u64, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let text = to_vec(&f64::from_bits(bits));
        assert_eq!(
            text.map(|text| String::from_utf8(text).unwrap()),
            Ok(expected.to_owned()),
            "{bits:x}"
        );
    }
    for bits in [
        0x7fff_ffff_ffff_ffff_u64,
        0x7ff0_0000_0000_0000,
        0xfff0_0000_0000_0000,
    ] {
        assert!(
            matches!(to_vec(&f64::from_bits(bits)), Err(Error::Unsupported(_))),
            "{bits:x}"
        );
    }
    // In the appendix, but integers that no reader of JSON is bound to keep: refused here.
    for bits in [
        0x4340_0000_0000_0000_u64,
        0xc340_0000_0000_0000,
        0x4430_0000_0000_0000,
        0x444b_1ae4_d6e2_ef4e,
        0x444b_1ae4_d6e2_ef4f,
    ] {
        assert!(
            matches!(to_vec(&f64::from_bits(bits)), Err(Error::Unsupported(_))),
            "{bits:x}"
        );
    }
}

#[test]
fn numbers() {
    check("[0, -0, 0.0, -0.0, 1.0, 1e0, 10e-1, -7]", "[0,0,0,0,1,1,1,-7]");
    check("9007199254740991", "9007199254740991");
    check("-9007199254740991.0", "-9007199254740991");
    check("1e300", "1e+300");
    check("1e-400", "0");
    for text in [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740992.0",
        "1e16",
        "9e20",
    ] {
        refused(text.as_bytes(), Error::IntegerTooLarge { offset: 0 });
    }
    refused(
        b"[123456789012345678901234567890]",
        Error::IntegerTooLarge { offset: 1 },
    );
    refused(b"[1e400]", Error::NumberTooLarge { offset: 1 });
    for text in [
        "+1",
        ".5",
        "1.",
        "01",
        "1e",
        "1e+",
        "-",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "1_0",
    ] {
        assert!(canonicalize(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn strings() {
    check(
        r#""\/\b\f\n\r\t\u0007\u007f""#,
        "\"/\\b\\f\\n\\r\\t\\u0007\u{7f}\"",
    );
    check(r#""\ud834\udd1e""#, "\"\u{1d11e}\"");
    refused(br#""\ud834""#, Error::LoneSurrogate { offset: 1 });
    refused(br#""ab\ud834\n""#, Error::LoneSurrogate { offset: 3 });
    refused(br#""\ud834\ud834""#, Error::LoneSurrogate { offset: 1 });
    refused(br#""\udd1e""#, Error::LoneSurrogate { offset: 1 });
    refused(br#"{"\udead":1}"#, Error::LoneSurrogate { offset: 2 });
    refused(b"\"a\xffb\"", Error::InvalidUtf8 { offset: 2 });
    refused(b"\"\xed\xa0\x80\"", Error::InvalidUtf8 { offset: 1 });
    for text in [
        "\"a",
        "\"a\nb\"",
        "\"\t\"",
        r#""\x41""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\"#,
        r#""\u+123""#,
    ] {
        assert!(canonicalize(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn structure() {
    check(" { } ", "{}");
    check("[ ]", "[]");
    check(
        "{\"b\":{\"d\":1,\"c\":2},\"a\":[]}",
        "{\"a\":[],\"b\":{\"c\":2,\"d\":1}}",
    );
    refused(br#"{"a":1,"a":1}"#, Error::DuplicateKey { offset: 7 });
    refused(br#"{"a":1,"\u0061":2}"#, Error::DuplicateKey { offset: 7 });
    refused(b"{} {}", Error::TrailingData { offset: 3 });
    refused(b"", Error::UnexpectedEnd);
    refused(b"[1", Error::UnexpectedEnd);
    for text in [
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\"}",
        "[1 2]",
        "tru",
        "nul",
        "{1:2}",
        "\u{feff}1",
        "//",
    ] {
        assert!(canonicalize(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn nesting() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    check(&nested(MAX_DEPTH), &nested(MAX_DEPTH));
    refused(nested(MAX_DEPTH + 1).as_bytes(), Error::TooDeep);
    refused("[".repeat(1_000_000).as_bytes(), Error::TooDeep);
    let value = |depth: usize| (0..depth).fold(Value::Null, |inner, _| json!({ "a": inner }));
    assert!(to_vec(&value(MAX_DEPTH)).is_ok());
    assert_eq!(to_vec(&value(MAX_DEPTH + 1)), Err(Error::TooDeep));
}

#[test]
fn canonical_bytes_only() {
    assert_eq!(parse_canonical(br#"{"a":1}"#), Ok(json!({"a": 1})));
    for text in [
        r#"{"a": 1}"#,
        r#"{"a":1.0}"#,
        r#"{"b":1,"a":1}"#,
        r#"{"\u0061":1}"#,
        "1 ",
        "1e1",
    ] {
        assert_eq!(
            parse_canonical(text.as_bytes()),
            Err(Error::NotCanonical),
            "{text}"
        );
    }
}

#[derive(Serialize)]
enum Kind {
    Unit,
    New(u8),
    Pair(u8, char),
    Named { z: bool, a: Option<()> },
}

#[derive(Serialize)]
struct Typed {
    z: Vec<Kind>,
    m: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<u8>,
    a: (f32, &'static str),
}

#[test]
fn typed_values() {
    let typed = Typed {
        z: vec![
            Kind::Unit,
            Kind::New(7),
            Kind::Pair(1, 'x'),
            Kind::Named { z: true, a: None },
        ],
        m: BTreeMap::from([("\u{ffff}".to_owned(), 1), ("\u{10000}".to_owned(), 2)]),
        absent: None,
        a: (0.5, "\u{1}"),
    };
    let expected = "{\"a\":[0.5,\"\\u0001\"],\"m\":{\"\u{10000}\":2,\"\u{ffff}\":1},\
        \"z\":[\"Unit\",{\"New\":7},{\"Pair\":[1,\"x\"]},{\"Named\":{\"a\":null,\"z\":true}}]}";
    assert_eq!(String::from_utf8(to_vec(&typed).unwrap()).unwrap(), expected);
    assert!(to_vec(&u64::MAX).is_err());
    assert!(to_vec(&i128::MIN).is_err());
    assert!(to_vec(&BTreeMap::from([(1, 2)])).is_err());
    assert!(to_vec(&serde_json::value::RawValue::from_string("1".to_owned()).unwrap()).is_err());
}

#[derive(Serialize)]
struct Flattened {
    a: u8,
    #[serde(flatten)]
    more: BTreeMap<String, u8>,
}

#[test]
fn a_key_cannot_come_twice_from_code_either() {
    let more = BTreeMap::from([("a".to_owned(), 2)]);
    assert!(matches!(
        to_vec(&Flattened { a: 1, more }),
        Err(Error::Unsupported(_))
    ));
}

/// Any value that has a canonical form.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
        any::<f64>().prop_filter_map("canonical", |number| crate::number::from_double(number)
            .map(Value::Number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn round_trip(value in value()) {
        let bytes = to_vec(&value).unwrap();
        prop_assert_eq!(parse(&bytes).unwrap(), value);
        prop_assert_eq!(&canonicalize(&bytes).unwrap(), &bytes);
        prop_assert!(parse_canonical(&bytes).is_ok());
    }

    #[test]
    fn any_spelling_gives_the_same_bytes(value in value()) {
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(canonicalize(&pretty).unwrap(), to_vec(&value).unwrap());
    }

    #[test]
    fn order_of_members_does_not_matter(members in prop::collection::hash_map(any::<String>(), any::<i32>(), 0..20)) {
        let sorted: BTreeMap<_, _> = members.iter().collect();
        let hashed: HashMap<_, _> = members.iter().collect();
        let bytes = to_vec(&sorted).unwrap();
        prop_assert_eq!(&to_vec(&hashed).unwrap(), &bytes);
        let mut expected: Vec<Vec<u16>> = members.keys().map(|key| key.encode_utf16().collect()).collect();
        expected.sort();
        let mut at = 0;
        for key in expected {
            let name = to_vec(&String::from_utf16(&key).unwrap()).unwrap();
            let found = bytes[at..].windows(name.len()).position(|window| window == name);
            prop_assert!(found.is_some());
            at += found.unwrap() + name.len();
        }
    }

    #[test]
    fn never_panics_and_never_accepts_more_than_serde_json(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if parse(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn reads_what_serde_json_reads(text in "[\\[\\]{}:,\"\\\\ a0-1.eE+tru-]{0,12}") {
        let theirs = serde_json::from_str::<Value>(&text);
        match parse(text.as_bytes()) {
            Ok(_) => prop_assert!(theirs.is_ok(), "{}", text),
            Err(Error::DuplicateKey { .. } | Error::IntegerTooLarge { .. }) => {}
            Err(error) => prop_assert!(theirs.is_err(), "{}: {}", text, error),
        }
    }
}
