//! The HTTP/1.1 in a tunnel: one request, its head within bounds.

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;

use crate::tunnel::{HEAD, HEAD_BYTES, HEAD_FIELDS};

/// Serves one request; its sender may have said all before the answer.
pub(super) fn one_request() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .keep_alive(false)
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    builder
}
