//! One canonical spelling of a host, used for matching, resolving, SNI, the Host header and audit alike.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::domain::address;
use crate::domain::denial::Malformed;

/// Longest host text that is looked at; 253 A-label octets can come from more bytes of Unicode.
const MAX_TEXT: usize = 1024;

/// A host name in canonical form: lower-case A-labels (UTS-46, non-transitional, STD3), no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(Box<str>);

impl DnsName {
    /// The name without trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many labels it has, at least one.
    pub fn labels(&self) -> usize {
        self.0.split('.').count()
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a request goes: a name, or an address written as such.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(DnsName),
    Address(IpAddr),
}

impl Host {
    /// Reads a host as it stands between `//` and the port. Equal hosts give equal values; what cannot be
    /// read in exactly one way is refused.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() {
            return Err(Malformed::EmptyHost);
        }
        if text.len() > MAX_TEXT {
            return Err(Malformed::TooLong);
        }
        match text.strip_prefix('[') {
            Some(rest) => ipv6(rest),
            None => name_or_ipv4(text),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

fn ipv6(bracketed: &str) -> Result<Host, Malformed> {
    let inner = bracketed.strip_suffix(']').ok_or(Malformed::Ipv6Notation)?;
    let parsed: Ipv6Addr = inner.parse().map_err(|_| Malformed::Ipv6Notation)?;
    if inner.contains('.') || address::embeds_ipv4(parsed) {
        return Err(Malformed::EmbeddedIpv4);
    }
    if parsed.is_unspecified() {
        return Err(Malformed::Unspecified);
    }
    Ok(Host::Address(IpAddr::V6(parsed)))
}

fn name_or_ipv4(text: &str) -> Result<Host, Malformed> {
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::VerifyAllowRootDot,
        )
        .map_err(|_| Malformed::HostName)?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.is_empty() {
        return Err(Malformed::HostName);
    }
    if is_number(last) {
        return ipv4(text);
    }
    Ok(Host::Name(DnsName(name.into())))
}

/// A last label that some address parser reads as a number makes the whole host an address (WHATWG URL,
/// "ends in a number"); then only the canonical spelling, as it came in, is accepted.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x");
    label.bytes().all(|b| b.is_ascii_digit()) || hex.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn ipv4(text: &str) -> Result<Host, Malformed> {
    let parsed: Ipv4Addr = text.parse().map_err(|_| Malformed::Ipv4Notation)?;
    if parsed.to_string() != text {
        return Err(Malformed::Ipv4Notation);
    }
    if parsed.is_unspecified() {
        return Err(Malformed::Unspecified);
    }
    Ok(Host::Address(IpAddr::V4(parsed)))
}

#[cfg(test)]
mod tests;
