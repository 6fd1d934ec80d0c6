//! Why a request may not leave: every refusal names the stage that decided and a stable reason.

use std::fmt;
use std::net::IpAddr;

use harombe_types::ServiceName;

use crate::domain::resolver::ResolveError;
use crate::domain::upstream::Unfit;

/// The step of the pipeline that decided. The order is the order in which the steps run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// There is no usable policy, so nothing is decided on its merits.
    FailClosed,
    /// The URL or the authority could not be read strictly.
    Parse,
    /// No rule names this host, port and scheme for this agent.
    Acl,
    /// Method, path or headers are not allowed.
    Http,
    /// The name did not resolve, or resolved to an address that may not be dialled.
    Dns,
    /// None of the checked addresses accepted a connection.
    Dial,
    /// The peer could not prove that it is the named host.
    Tls,
    /// The exchange with the peer broke after the connection was made.
    Relay,
}

impl Stage {
    /// The stable name that audit entries and error details carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FailClosed => "fail-closed",
            Self::Parse => "parse",
            Self::Acl => "acl",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Dial => "dial",
            Self::Tls => "tls",
            Self::Relay => "relay",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a URL, an authority or a host as it was written. Nothing is ever repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it is longer than 8192 bytes")]
    TooLong,
    #[error("it is not an absolute http or https url")]
    NotHttp,
    #[error("the host is empty")]
    EmptyHost,
    #[error("user information before the host is not accepted")]
    Userinfo,
    #[error("a fragment is never sent to a server")]
    Fragment,
    #[error("the host is not a valid name under uts-46 with std3 rules")]
    HostName,
    #[error("the host looks like an ipv4 address but is not written as four decimal octets")]
    Ipv4Notation,
    #[error("the host is not a bracketed ipv6 address without zone")]
    Ipv6Notation,
    #[error("the ipv6 address carries an ipv4 address")]
    EmbeddedIpv4,
    #[error("the unspecified address is not a destination")]
    Unspecified,
    #[error("the port is missing")]
    MissingPort,
    #[error("the port is not a number from 1 to 65535 without leading zeros")]
    Port,
    #[error("it holds a character that a url must percent-encode")]
    IllegalCharacter,
    #[error("a percent sign is not followed by two hexadecimal digits")]
    PercentEncoding,
    #[error("it encodes a control character")]
    ControlCharacter,
    #[error("the path holds a dot segment")]
    DotSegment,
}

/// Why a path cannot be held against a protected prefix: a server might read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmbiguousPath {
    #[error("an encoded percent sign could be decoded twice")]
    DoubleEncoding,
    #[error("an encoded slash or backslash could start a new segment")]
    EncodedSeparator,
    #[error("the path is not valid utf-8 once decoded")]
    NotUtf8,
}

/// A refusal of the decision pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("no egress policy is in force, so nothing may leave")]
    PolicyUnavailable,
    #[error("the url is refused: {0}")]
    Malformed(Malformed),
    #[error("{host} is a local or control-plane name that no rule can open")]
    ReservedName { host: String },
    #[error("no rule allows {host}")]
    HostNotListed { host: String },
    #[error("no rule allows {scheme} to {host} on port {port}")]
    PortNotListed {
        host: String,
        port: u16,
        scheme: &'static str,
    },
    #[error("{address} is not a public address ({range})")]
    LiteralForbidden { address: IpAddr, range: &'static str },
    #[error("no rule allows this method for {host}")]
    MethodNotListed { host: String },
    #[error("no rule allows this path on {host}")]
    PathNotListed { host: String },
    #[error("the path is refused under a protected prefix: {0}")]
    AmbiguousPath(AmbiguousPath),
    #[error("the host header names another host than the url")]
    HostHeader,
    #[error("header {index} is not a valid http header")]
    HeaderSyntax { index: usize },
    #[error("a header is given twice")]
    HeaderRepeated,
    #[error("{host} did not resolve: {error}")]
    Unresolved { host: String, error: ResolveError },
    #[error("{host} resolves to {address}, which is not a public address ({range})")]
    AnswerForbidden {
        host: String,
        address: IpAddr,
        range: &'static str,
    },
    #[error("no upstream is called {name:?}")]
    UpstreamUnknown { name: String },
    #[error("{service} may not use the upstream {name}")]
    UpstreamNotPermitted { name: String, service: ServiceName },
    #[error("the request does not fit the upstream: {0}")]
    Unfit(Unfit),
    #[error("no search service is configured")]
    NoSearch,
}

impl Denial {
    /// The stage that decided.
    pub fn stage(&self) -> Stage {
        match self {
            Self::PolicyUnavailable => Stage::FailClosed,
            Self::Malformed(_) => Stage::Parse,
            Self::ReservedName { .. }
            | Self::HostNotListed { .. }
            | Self::PortNotListed { .. }
            | Self::LiteralForbidden { .. }
            | Self::UpstreamUnknown { .. }
            | Self::UpstreamNotPermitted { .. }
            | Self::NoSearch => Stage::Acl,
            Self::MethodNotListed { .. }
            | Self::PathNotListed { .. }
            | Self::AmbiguousPath(_)
            | Self::HostHeader
            | Self::HeaderSyntax { .. }
            | Self::HeaderRepeated
            | Self::Unfit(_) => Stage::Http,
            Self::Unresolved { .. } | Self::AnswerForbidden { .. } => Stage::Dns,
        }
    }

    /// A stable word for logs and audit, finer than the stage.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PolicyUnavailable => "policy-unavailable",
            Self::Malformed(_) => "malformed",
            Self::ReservedName { .. } => "reserved-name",
            Self::HostNotListed { .. } => "host-not-listed",
            Self::PortNotListed { .. } => "port-not-listed",
            Self::LiteralForbidden { .. } => "literal-forbidden",
            Self::MethodNotListed { .. } => "method-not-listed",
            Self::PathNotListed { .. } => "path-not-listed",
            Self::AmbiguousPath(_) => "ambiguous-path",
            Self::HostHeader => "host-header",
            Self::HeaderSyntax { .. } => "header-syntax",
            Self::HeaderRepeated => "header-repeated",
            Self::Unresolved { .. } => "unresolved",
            Self::AnswerForbidden { .. } => "answer-forbidden",
            Self::UpstreamUnknown { .. } => "upstream-unknown",
            Self::UpstreamNotPermitted { .. } => "upstream-not-permitted",
            Self::Unfit(_) => "unfit",
            Self::NoSearch => "no-search",
        }
    }
}

impl From<Unfit> for Denial {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<Malformed> for Denial {
    fn from(fault: Malformed) -> Self {
        Self::Malformed(fault)
    }
}
