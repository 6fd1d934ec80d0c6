//! What crosses the proxy between a service and an upstream: which header fields, which paths.

use http::header::{self, HeaderName};

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

/// Does the field belong to one connection, so that only the proxy itself sets it?
pub fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(name) || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}
