//! A rule as its author wrote it, checked but not yet compiled.

use std::time::Duration;

use serde::Serialize;

use super::{HostSet, Risk};

/// One rule. It matches a call to one of its tools when all its conditions hold.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Unique over all rule files of a set.
    pub name: String,
    /// Exact names of the tools it speaks about.
    pub tools: Vec<String>,
    /// The least risk of a call that it matches.
    pub risk: Risk,
    /// A sentence for the approver.
    pub reason: String,
    /// How long a request may wait for its approver.
    pub deadline: Duration,
    /// Conditions that must all hold; none means that every call matches.
    pub when: Vec<Condition>,
}

/// Something that holds or not about a call's arguments.
#[derive(Clone, Debug, Serialize)]
pub enum Condition {
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// A test of one argument. It fails if the argument is absent, [`Test::HostNotInTrusted`] excepted.
    Arg(Arg, Test),
}

/// Where in the arguments a value lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arg {
    /// Object keys (or array positions) from the top, taken from a plain name or a JSON pointer (RFC 6901).
    pub path: Vec<String>,
}

impl Arg {
    /// Reads `name`, a top-level argument, or a JSON pointer if it starts with `/`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = match name.strip_prefix('/') {
            Some(pointer) => pointer
                .split('/')
                .map(|token| token.replace("~1", "/").replace("~0", "~"))
                .collect(),
            None => vec![name.to_owned()],
        };
        Self { path }
    }
}

/// A test of one argument. Text is compared without regard to ASCII case.
/// A value that is not a string is looked at as its compact JSON text.
#[derive(Clone, Debug, Serialize)]
pub enum Test {
    /// One of these texts occurs in it; any ASCII white space stands for any other.
    Contains(Vec<String>),
    /// The regular expression matches somewhere in it. Bytes, not Unicode, unless the pattern says `(?u)`.
    Matches(String),
    /// It equals one of these.
    In(Vec<Scalar>),
    /// It equals none of these.
    NotIn(Vec<Scalar>),
    /// It is longer than this many bytes.
    LongerThan(usize),
    /// It is a path that is absolute or climbs with `..`, on Unix or on Windows.
    PathLeavesWorkspace,
    /// It is a plain URL whose host is in the set.
    HostIn(HostSet),
    /// It is not a plain URL whose host is on the operator's trusted list. Also holds when it is absent.
    HostNotInTrusted,
    /// It is a URL with this trait.
    UrlIs(UrlTrait),
    /// It is a URL whose query is longer than this many bytes.
    QueryLongerThan(usize),
}

/// A value to compare an argument with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

/// Something about a URL that its text may hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlTrait {
    /// Not of the form `http(s)://[user@]host[:port]...` with an ASCII host: two programs may read it differently.
    NotPlain,
    /// Carries a user name or password.
    WithUserinfo,
    /// Names an address, in any notation, instead of a host.
    IpLiteral,
}

impl UrlTrait {
    /// All traits with their names in rule files.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("not_plain", Self::NotPlain),
        ("with_userinfo", Self::WithUserinfo),
        ("ip_literal", Self::IpLiteral),
    ];
}
