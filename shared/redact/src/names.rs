//! Which names announce a secret: `DB_PASSWORD`, `clientSecret`, `x-api-key`, but not `monkey` or `max_tokens`.

/// What a name says about the value beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Password,
    ApiKey,
    Secret,
    Token,
    AwsSecret,
    Authorization,
    /// The word `Bearer`, which is followed by its value after a space.
    Bearer,
    /// Cookies: sensitive as a JSON key, too vague in running text.
    Cookie,
}

impl Class {
    pub(crate) const ALL: [Self; 8] = [
        Self::Password,
        Self::ApiKey,
        Self::Secret,
        Self::Token,
        Self::AwsSecret,
        Self::Authorization,
        Self::Bearer,
        Self::Cookie,
    ];

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ApiKey => "api_key",
            Self::Secret => "secret",
            Self::Token => "token",
            Self::AwsSecret => "aws_secret_key",
            Self::Authorization | Self::Bearer => "authorization",
            Self::Cookie => "cookie",
        }
    }
}

const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "pass",
    "passcode",
    "passwort",
    "pw",
    "pgpassword",
];
/// Words before `key` that make it a secret one.
const KEY_OWNERS: &[&str] = &[
    "api",
    "secret",
    "access",
    "private",
    "auth",
    "encryption",
    "signing",
    "master",
    "service",
    "admin",
    "account",
    "shared",
    "app",
    "write",
    "deploy",
    "storage",
    "hmac",
    "webhook",
    "subscription",
    "license",
    "session",
    "server",
    "jwt",
];
/// Words before `token` that make it a harmless one: page cursors, tokenizers, counters.
const HARMLESS_TOKENS: &[&str] = &[
    "page",
    "next",
    "continuation",
    "cursor",
    "sync",
    "eos",
    "bos",
    "pad",
    "unk",
    "mask",
    "sep",
    "cls",
    "special",
    "idempotency",
    "cancellation",
    "cancel",
    "stop",
    "per",
    "start",
    "end",
    "last",
    "first",
    "lookahead",
    "public",
    "previous",
    "prev",
];
/// Endings that do not change what the name is about.
const SUFFIXES: &[&str] = &[
    "base",
    "value",
    "plain",
    "plaintext",
    "raw",
    "prod",
    "production",
    "dev",
    "live",
    "test",
    "staging",
    "old",
    "new",
    "default",
    "hex",
    "b64",
];

/// Whether a JSON key or a variable with this name holds a secret.
///
/// Words are cut at punctuation and at capitals, so `monkey` is one word and no key.
pub fn is_sensitive(name: &str) -> bool {
    classify(name.as_bytes()).is_some()
}

pub(crate) fn classify(name: &[u8]) -> Option<Class> {
    let mut words = words(name);
    while words.len() > 1
        && words
            .last()
            .is_some_and(|w| w.iter().all(u8::is_ascii_digit) || SUFFIXES.iter().any(|s| s.as_bytes() == w))
    {
        words.pop();
    }
    let (last, before) = words.split_last()?;
    let last = std::str::from_utf8(last).ok()?;
    let previous = before
        .last()
        .and_then(|w| std::str::from_utf8(w).ok())
        .unwrap_or_default();
    let aws = before.iter().any(|w| w == b"aws") || last.starts_with("aws");
    by_last_word(last, previous).map(|class| match class {
        Class::ApiKey if previous == "access" && before.iter().any(|w| w == b"secret") => Class::AwsSecret,
        Class::ApiKey | Class::Secret if aws => Class::AwsSecret,
        class => class,
    })
}

fn by_last_word(last: &str, previous: &str) -> Option<Class> {
    if PASSWORDS.contains(&last)
        || ["password", "passwd", "passphrase"]
            .iter()
            .any(|w| last.ends_with(w))
    {
        return Some(Class::Password);
    }
    match last {
        "secret" | "secrets" | "credential" | "credentials" | "creds" | "psk" => Some(Class::Secret),
        "id" if previous == "secret" => Some(Class::Secret),
        "string" if previous == "connection" => Some(Class::Secret),
        "connectionstring" => Some(Class::Secret),
        "key" if KEY_OWNERS.contains(&previous) => Some(Class::ApiKey),
        "token" if HARMLESS_TOKENS.contains(&previous) => None,
        "auth" | "jwt" => Some(Class::Token),
        "authorization" => Some(Class::Authorization),
        "bearer" => Some(Class::Bearer),
        "cookie" | "cookies" => Some(Class::Cookie),
        _ if last.ends_with("token") => Some(Class::Token),
        _ if last.ends_with("secret") => Some(Class::Secret),
        _ if ["apikey", "accesskey", "secretkey", "privatekey", "authkey"]
            .iter()
            .any(|w| last.ends_with(w)) =>
        {
            Some(Class::ApiKey)
        }
        _ => None,
    }
}

/// Lower-case words of a name: `DBPassword-v2` is `db`, `password`, `v2`.
fn words(name: &[u8]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut word: Vec<u8> = Vec::new();
    for (i, byte) in name.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| name.get(i));
        let after = name.get(i + 1);
        let hump = byte.is_ascii_uppercase()
            && (before.is_some_and(u8::is_ascii_lowercase)
                || (before.is_some_and(u8::is_ascii_uppercase) && after.is_some_and(u8::is_ascii_lowercase)));
        if (hump || !byte.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if byte.is_ascii_alphanumeric() {
            word.push(byte.to_ascii_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_names() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "api_key",
            "apiKey",
            "APIKey",
            "X-API-Key",
            "x-api-key",
            "apikey",
            "client_secret",
            "clientSecret",
            "token",
            "accessToken",
            "GITHUB_TOKEN_1",
            "SECRET_KEY_BASE",
            "private_key",
            "Authorization",
            "Set-Cookie",
            "SecretAccessKey",
            "spring.datasource.password",
            "secret_id",
            "credentials",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn harmless_names() {
        for name in [
            "monkey",
            "key",
            "keys",
            "primary_key",
            "public_key",
            "max_tokens",
            "tokens",
            "token_type",
            "tokenizer",
            "token_count",
            "password_hash",
            "password_min_length",
            "next_page_token",
            "secret_name",
            "author",
            "authority",
            "compass",
            "bypass",
            "token_url",
            "aws_access_key_id",
            "",
            "___",
            "keyboard",
            "passenger",
            "secretary",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn aws_names_are_told_apart() {
        assert_eq!(classify(b"AWS_SECRET_ACCESS_KEY"), Some(Class::AwsSecret));
        assert_eq!(classify(b"SecretAccessKey"), Some(Class::AwsSecret));
        assert_eq!(classify(b"service_access_key"), Some(Class::ApiKey));
    }
}
