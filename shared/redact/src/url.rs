//! Addresses that carry a password: `postgres://app:…@db`, `https://user:…@host`, `redis://:…@cache`.

use crate::benign;
use crate::candidate::Candidate;

/// The text that makes [`find`] look.
pub(crate) const ANCHOR: &str = "://";
pub(crate) const DATABASE: &str = "database_url";
pub(crate) const CREDENTIAL: &str = "credential_url";
/// User name and password are looked for this far behind the anchor.
const AUTHORITY_MAX: usize = 1024;

const DATABASES: &[&str] = &[
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "mssql",
    "sqlserver",
    "oracle",
    "clickhouse",
    "cockroachdb",
    "nats",
    "kafka",
    "cassandra",
    "neo4j",
    "bolt",
    "snowflake",
];
/// Passwords of examples and of local databases, which protect nothing.
const WEAK: &[&str] = &[
    "password", "pass", "passwd", "pwd", "pw", "secret", "user", "root", "admin", "token", "postgres",
    "guest", "test",
];

/// The whole address around the `://` at `at`, if it has a password.
pub(crate) fn find(line: &[u8], at: usize) -> Option<Candidate> {
    let before = line.get(at.saturating_sub(24)..at)?;
    let scheme_len = before
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || b"+.-".contains(b))
        .count();
    if scheme_len < 2 {
        return None;
    }
    let start = at - scheme_len;
    let authority_start = at + ANCHOR.len();
    let rest = line.get(authority_start..)?;
    let window = rest.get(..AUTHORITY_MAX).unwrap_or(rest);
    let authority = window
        .split(|b| b.is_ascii_whitespace() || b"\"'`<>,/?#\\".contains(b))
        .next()?;
    let userinfo = authority.get(..memchr::memrchr(b'@', authority)?)?;
    let colon = memchr::memchr(b':', userinfo)?;
    let (user, password) = (userinfo.get(..colon)?, userinfo.get(colon + 1..)?);
    if !is_password(user, password) {
        return None;
    }
    let tail = rest.get(authority.len()..)?;
    let path = tail
        .iter()
        .position(|b| b.is_ascii_whitespace() || b"\"'`<>,;)]}|\\".contains(b))
        .unwrap_or(tail.len());
    let scheme = line.get(start..at)?.to_ascii_lowercase();
    let base = scheme.split(|b| *b == b'+').next().unwrap_or_default();
    let database = DATABASES
        .iter()
        .any(|name| name.as_bytes() == scheme || name.as_bytes() == base);
    Some(Candidate {
        kind: if database { DATABASE } else { CREDENTIAL },
        start,
        end: authority_start + authority.len() + path,
        evidence: start,
        confidence: 90,
    })
}

fn is_password(user: &[u8], password: &[u8]) -> bool {
    let lower = password.to_ascii_lowercase();
    password.len() >= 4
        && password != user
        && !WEAK.iter().any(|word| word.as_bytes() == lower)
        && !benign::is_placeholder(password)
        && !password.starts_with(b"$")
        // a marker has a colon of its own
        && !user.starts_with(b"[REDACTED")
        // the grammar of addresses: `user[:password]@`
        && !user.ends_with(b"[")
}
