//! Shapes that are no secrets although they stand where one could: placeholders, references, hashes, identifiers.

use crate::checksum::entropy;

/// Longest prefix of a value that is looked at; the verdict on more is the same.
const SAMPLE: usize = 256;

/// Words that only a stand-in for a secret contains, in lower case.
const STAND_INS: &[&str] = &[
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "changeit",
    "redacted",
    "dummy",
    "xxxxx",
    "*****",
    ".....",
    "your_",
    "your-",
    "yourpass",
    "yourtoken",
    "yoursecret",
    "yourkey",
    "your key",
    "my_secret",
    "mysecret",
    "my-secret",
    "insert_",
    "insert-",
    "replace_",
    "replace-",
    "replaceme",
    "goes_here",
    "goes-here",
    "fake_",
    "fake-",
    "not-a-real",
    "notareal",
    "<your",
    "todo_",
    "fixme",
    "sample_",
    "sample-",
    "00000000",
    "11111111",
];

/// Words that are whole values without being secrets, in lower case.
const PLAIN_WORDS: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "secret",
    "token",
    "string",
    "required",
    "optional",
    "disabled",
    "enabled",
    "unknown",
    "undefined",
    "incorrect",
    "invalid",
    "expired",
    "missing",
    "encrypted",
    "username",
    "default",
    "hidden",
    "internal",
    "function",
    "object",
    "number",
    "boolean",
    "false",
    "true",
    "null",
    "none",
    "nil",
    "empty",
    "secrets",
    "credentials",
    "forbidden",
    "unauthorized",
    "protected",
    "authorization",
    "bearer",
    "basic",
    "prompt",
    "plaintext",
    "varchar",
    "integer",
    "varchar(255)",
    "passphrase",
    "test",
    "user",
    "root",
    "admin",
    "pass",
    "value",
];

/// Environment lookups and template openings: the secret is elsewhere.
const REFERENCES: &[&str] = &[
    "${",
    "{{",
    "$(",
    "%(",
    "<%",
    "os.environ",
    "process.env",
    "getenv",
    "env.",
    "secrets.",
    "[redacted",
    "secretkeyref",
    "arn:aws:",
    "vault:",
    "keyring:",
];

/// Whether `value` stands for a secret without being one.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    let sample = value.get(..SAMPLE).unwrap_or(value);
    let lower = sample.to_ascii_lowercase();
    let holds = |needle: &str| memchr::memmem::find(&lower, needle.as_bytes()).is_some();
    STAND_INS.iter().any(|word| holds(word))
        || REFERENCES.iter().any(|word| holds(word))
        || is_plain_word(&lower)
        || is_wrapped(sample)
        || is_variable(sample)
        || is_monotonous(&lower)
}

/// A single well-known word, as in `"password": "string"`.
pub(crate) fn is_plain_word(lower: &[u8]) -> bool {
    PLAIN_WORDS.iter().any(|word| word.as_bytes() == lower)
}

/// `<token>`, `{token}`, `%TOKEN%`, `__TOKEN__`: a template's slot.
fn is_wrapped(value: &[u8]) -> bool {
    matches!(
        value,
        [b'<', .., b'>']
            | [b'{', .., b'}']
            | [b'[', .., b']']
            | [b'%', .., b'%']
            | [b'_', b'_', .., b'_', b'_']
    )
}

/// `$TOKEN`, `%s`, `:password`, `@password`.
fn is_variable(value: &[u8]) -> bool {
    match value {
        [b'%', b's' | b'd' | b'v' | b'r'] => true,
        [b'$' | b':' | b'@', name @ ..] => {
            !name.is_empty() && name.iter().all(|b| b.is_ascii_alphabetic() || *b == b'_')
        }
        _ => false,
    }
}

/// Few different characters, or a run through the alphabet or the digits.
fn is_monotonous(lower: &[u8]) -> bool {
    if lower.len() < 6 {
        return false;
    }
    let mut seen = [false; 256];
    let mut distinct = 0;
    for byte in lower {
        if let Some(flag) = seen.get_mut(usize::from(*byte))
            && !*flag
        {
            *flag = true;
            distinct += 1;
        }
    }
    if distinct <= 2 {
        return true;
    }
    let steps = lower
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if b.wrapping_sub(*a) == 1))
        .count();
    lower.len() >= 12 && steps * 10 >= (lower.len() - 1) * 6
}

/// 8-4-4-4-12 hexadecimal digits.
pub(crate) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// `sha256:…`, `sha512-…`: a digest that says so.
pub(crate) fn is_integrity(value: &[u8]) -> bool {
    ["sha1", "sha256", "sha384", "sha512", "md5", "SHA256"]
        .iter()
        .any(|name| {
            value
                .strip_prefix(name.as_bytes())
                .is_some_and(|rest| matches!(rest.first(), Some(b':' | b'-')))
        })
}

/// A path or a web address without credentials.
pub(crate) fn is_path(value: &[u8]) -> bool {
    if memchr::memmem::find(value, b"://").is_some() {
        return true;
    }
    let rooted = [&b"/"[..], b"./", b"~/", b"../"]
        .iter()
        .any(|root| value.starts_with(root));
    let parts = value.split(|b| *b == b'/').filter(|part| !part.is_empty());
    let named = parts.clone().count() >= 2 && parts.clone().all(is_name);
    (rooted
        && parts
            .clone()
            .all(|part| part.len() <= 32 && !part.contains(&b'+'))
        && parts
            .clone()
            .any(|part| part.iter().all(|b| b.is_ascii_lowercase() || b"._-".contains(b))))
        || named
}

/// Words joined by `-`, `_`, `.`, `:` or `/`, each made of letters of one case with at most two digits at its
/// end, or of a few digits: a name somebody chose, not something random.
pub(crate) fn is_name(value: &[u8]) -> bool {
    value
        .split(|b| matches!(b, b'-' | b'_' | b'.' | b':' | b'/'))
        .all(|segment| segment.len() <= 24 && is_word(segment))
}

fn is_word(segment: &[u8]) -> bool {
    let letters = segment.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (word, digits) = segment.split_at(letters);
    if !digits.iter().all(u8::is_ascii_digit) || digits.len() > 4 || (digits.len() > 2 && !word.is_empty()) {
        return false;
    }
    // camelCase has a few humps; random letters have many
    let humps = word
        .windows(2)
        .filter(|p| matches!(p, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .count();
    let upper = word.iter().filter(|b| b.is_ascii_uppercase()).count();
    upper == word.len()
        || (humps * 4 <= word.len()
            && upper <= humps + 1
            && entropy(word) < if humps >= 2 { 4.2 } else { 3.9 })
}

/// Source code rather than a value: a call, an index, a path through fields, an address.
pub(crate) fn is_expression(value: &[u8]) -> bool {
    match value {
        [
            b'$' | b'&' | b'*' | b'!' | b'@' | b'(' | b'[' | b'{' | b'%' | b'\\',
            ..,
        ] => true,
        _ => {
            let name = value
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || b"_.:?->!".contains(b))
                .count();
            let (path, rest) = value.split_at(name);
            matches!(rest.first(), Some(b'(' | b'['))
                || (rest.is_empty()
                    && (path.contains(&b'.')
                        || memchr::memmem::find(path, b"::").is_some()
                        || memchr::memmem::find(path, b"->").is_some())
                    && is_dotted(path))
        }
    }
}

fn is_dotted(path: &[u8]) -> bool {
    path.split(|b| matches!(b, b'.' | b':' | b'-' | b'>' | b'?'))
        .filter(|part| !part.is_empty())
        .all(|part| {
            part.first()
                .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
                && !part.iter().any(u8::is_ascii_digit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn placeholder(value: &str, expected: bool) {
        assert_eq!(is_placeholder(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn stand_ins_are_told_from_values() {
        for value in [
            "${DB_PASSWORD}",
            "$PASSWORD",
            "<token>",
            "{{ secret }}",
            "xxxxxxxxxxxx",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            placeholder(value, true);
        }
        for value in [
            "your_api_key_goes_here_please",
            "changeme",
            "%s",
            "abcdefghijklmnopqrstuvwxyz0123",
            "aaaaaaaaaa",
        ] {
            placeholder(value, true);
        }
        for value in [
            "hunter2",
            "Tr0ub4dor&3",
            "s3cr3t-V4lue",
            "9f86d081884c7d65",
            "p@ssw0rd!",
        ] {
            placeholder(value, false);
        }
    }

    #[test]
    fn names_are_told_from_random_strings() {
        for value in [
            "github-token",
            "my_app_secret",
            "prod.db.password",
            "db-creds-v2",
            "secretKeyRef",
            "2024-01-02",
        ] {
            assert!(is_name(value.as_bytes()), "{value}");
        }
        for value in [
            "a1b2c3d4e5",
            "zHretBnrDXUHAwxMVmyTtHCO",
            "c3ZjLWRlcGxveTow",
            "abc123def456",
        ] {
            assert!(!is_name(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn expressions_and_paths() {
        for value in [
            "getpass()",
            "config['x']",
            "args.password",
            "self.token",
            "Config::token",
            "$x",
            "&secret",
        ] {
            assert!(is_expression(value.as_bytes()), "{value}");
        }
        for value in ["hunter2", "abc.def9", "S3cret(x"] {
            assert!(!is_expression(value.as_bytes()) || value.contains('('), "{value}");
        }
        assert!(is_path(b"/run/secrets/db_password"));
        assert!(is_path(b"secret/data/production"));
        assert!(!is_path(b"/K7MDENGbPxRfiCYzz9/aZ"));
        assert!(is_uuid(b"7979664e-b01b-407e-a208-f003b0545307"));
        assert!(is_integrity(b"sha256:abc"));
    }
}
