//! What crosses the proxy between a service and an upstream: which requests, paths and header fields.

mod head;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};

use crate::domain::headers;
use crate::domain::path;
use crate::domain::target::Target;

pub use head::{Framing, check_head};

/// Fields that make up the connection and the message's frame, or say whom to ask on the way (RFC 9110 §7.6.1, RFC 9112 §6).
const FRAMING: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a service may say to an upstream; the operator's own fields come on top. Everything else is left out: a credential
/// under whatever name and spelling, a cookie, a claim about who asks, another method or path.
const SENDABLE: &[&str] = &[
    "accept",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "user-agent",
    "x-request-id",
];

/// Longest target of a request, in bytes.
const MAX_TARGET: usize = 8192;

/// Why a request cannot go to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the method is none of GET, HEAD and POST")]
    Method,
    #[error("the target is not a path: it begins with a slash and names no host")]
    NotAPath,
    #[error("the path could be read as one outside of the upstream's own")]
    Escapes,
    #[error("its framing is refused: {0}")]
    Frame(Framing),
}

/// Does the field belong to one connection, so that only the proxy itself sets it?
pub fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(name) || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}

/// Can a request have this method?
///
/// # Errors
/// [`Unfit::Method`].
pub fn check_method(method: &Method) -> Result<(), Unfit> {
    if [Method::GET, Method::HEAD, Method::POST].contains(method) {
        Ok(())
    } else {
        Err(Unfit::Method)
    }
}

/// Puts the request's target behind the upstream's own path.
///
/// # Errors
/// It is not a path and a query, or a server could take it for a path outside.
pub fn join(base: &Target, target: &Uri) -> Result<String, Unfit> {
    if target.scheme().is_some() || target.authority().is_some() {
        return Err(Unfit::NotAPath);
    }
    let (below, query) = (target.path(), target.query());
    if !below.starts_with('/') || below.starts_with("//") {
        return Err(Unfit::NotAPath);
    }
    let length = below.len() + query.map_or(0, str::len);
    let plain = length <= MAX_TARGET
        && path::check_encoding(below, b"/").is_ok()
        && path::check_segments(below).is_ok()
        && path::ambiguity(below).is_none()
        && path::check_encoding(query.unwrap_or_default(), b"/?").is_ok();
    if !plain {
        return Err(Unfit::Escapes);
    }
    let prefix = base.path().trim_end_matches('/');
    Ok(match query {
        Some(query) => format!("{prefix}{below}?{query}"),
        None => format!("{prefix}{below}"),
    })
}

/// The header of the request that is sent: the caller's few fields, the operator's, and Host. Without a credential.
pub fn outgoing(given: &HeaderMap, own: &HeaderMap, host: HeaderValue) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for name in SENDABLE {
        // Several values may mean several things; none of these fields needs more than one.
        if let Some(value) = given.get(*name) {
            fields.insert(HeaderName::from_static(name), value.clone());
        }
    }
    for (name, value) in own {
        fields.insert(name, value.clone());
    }
    fields.insert(header::HOST, host);
    // A compressed answer could hide a credential that it repeats.
    fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    fields
}

/// Takes out of an answer what concerns the connection, hands out credentials, or leads past the proxy.
pub fn incoming(fields: &mut HeaderMap) {
    headers::strip_response(fields);
    for name in FRAMING.iter().filter(|name| **name != header::CONTENT_LENGTH) {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests;
