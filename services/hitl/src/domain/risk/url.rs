//! Reads a URL's shape without allocating, and only where every reader agrees on what its host is.

use super::hosts::is_host_name;
use super::rule::UrlTrait;

/// What rules ask about a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UrlShape<'a> {
    /// The host without final dot; `None` if the URL is not plain.
    pub(super) host: Option<&'a str>,
    /// Bytes between `?` and `#`.
    pub(super) query: usize,
    userinfo: bool,
    ip_literal: bool,
}

impl<'a> UrlShape<'a> {
    /// Reads `text`. What a lenient parser (WHATWG URL) would repair is not repaired but called not plain.
    pub(super) fn new(text: &'a str) -> Self {
        let mut shape = Self {
            query: query_length(text),
            ..Self::default()
        };
        let Some(rest) = strip_scheme(text) else {
            return shape;
        };
        let end = rest
            .bytes()
            .position(|b| matches!(b, b'/' | b'?' | b'#'))
            .unwrap_or(rest.len());
        let Some(authority) = rest.get(..end) else {
            return shape;
        };
        if authority
            .bytes()
            .any(|b| !b.is_ascii_graphic() || b == b'\\' || b == b'%')
        {
            shape.userinfo = authority.contains('@');
            return shape;
        }
        let userinfo = authority.bytes().rposition(|b| b == b'@');
        let host_port = userinfo
            .and_then(|at| authority.get(at + 1..))
            .unwrap_or(authority);
        shape.userinfo = userinfo.is_some();
        if host_port.starts_with('[') {
            shape.ip_literal = true;
            shape.host = bracketed_host(host_port);
            return shape;
        }
        let (host, port) = host_port.split_once(':').unwrap_or((host_port, ""));
        let host = host.strip_suffix('.').unwrap_or(host);
        if is_host_name(host) && is_port(port) {
            shape.ip_literal = ends_in_number(host);
            shape.host = Some(host);
        }
        shape
    }

    pub(super) fn is(&self, which: UrlTrait) -> bool {
        match which {
            UrlTrait::NotPlain => self.host.is_none(),
            UrlTrait::WithUserinfo => self.userinfo,
            UrlTrait::IpLiteral => self.ip_literal,
        }
    }
}

fn strip_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].into_iter().find_map(|scheme| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn query_length(text: &str) -> usize {
    let mut bytes = text.bytes();
    if bytes.find(|b| matches!(b, b'?' | b'#')) == Some(b'?') {
        bytes.take_while(|b| *b != b'#').count()
    } else {
        0
    }
}

/// `[address]:port` with nothing else around it; the address itself is left to whoever dials it.
fn bracketed_host(host_port: &str) -> Option<&str> {
    let close = host_port.find(']')?;
    let (host, rest) = host_port.split_at_checked(close + 1)?;
    let inner = host.get(1..close)?;
    let plain = inner
        .bytes()
        .all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
    let port = if rest.is_empty() {
        ""
    } else {
        rest.strip_prefix(':')?
    };
    (plain && !inner.is_empty() && is_port(port)).then_some(host)
}

fn is_port(port: &str) -> bool {
    port.is_empty() || port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Whether a reader following the WHATWG URL standard ("ends in a number") takes `host` for an IPv4 address.
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
