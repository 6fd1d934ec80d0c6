//! The answer of an upstream: without its hop's fields, without the credential, and within its bounds.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::UpstreamError;
use crate::domain::mask::Mask;
use crate::domain::{headers, upstream};

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Body,
}

/// A body that is being read. Dropping it before its end closes the connection.
#[derive(Debug)]
pub(crate) struct Body {
    incoming: Incoming,
    mask: Mask,
    idle: Duration,
    left: u64,
    ended: bool,
}

impl Answer {
    pub(super) fn new(
        response: http::Response<Incoming>,
        mask: Mask,
        idle: Duration,
        max: u64,
    ) -> Result<Self, UpstreamError> {
        let (parts, incoming) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(UpstreamError::Switched);
        }
        if !headers::is_plain(&parts.headers) {
            return Err(UpstreamError::Coded);
        }
        let mut fields = parts.headers;
        upstream::incoming(&mut fields);
        Ok(Self {
            status: parts.status,
            fields: masked(fields, &mask),
            body: Body {
                incoming,
                mask,
                idle,
                left: max,
                ended: false,
            },
        })
    }
}

/// A field that holds the credential, in its name or in its value, is left out.
fn masked(fields: HeaderMap, mask: &Mask) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(fields.len());
    let mut current: Option<HeaderName> = None;
    for (name, value) in fields {
        let name: Option<HeaderName> = name.or_else(|| current.take());
        let clean = |name: &HeaderName, value: &HeaderValue| {
            !mask.meets(name.as_str().as_bytes()) && !mask.meets(value.as_bytes())
        };
        if let Some(name) = &name
            && clean(name, &value)
        {
            kept.append(name.clone(), value);
        }
        current = name;
    }
    kept
}

impl Body {
    /// The next piece, as soon as it is there; `None` at the end. Trailers are dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        while !self.ended {
            let frame = timeout(self.idle, self.incoming.frame())
                .await
                .map_err(|_| UpstreamError::Silent)?;
            let piece = match frame {
                None => {
                    self.ended = true;
                    self.mask.end()
                }
                Some(frame) => match frame.map_err(UpstreamError::Body)?.into_data() {
                    Err(_) => continue,
                    Ok(data) => {
                        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                        self.left = self.left.checked_sub(length).ok_or(UpstreamError::TooLong)?;
                        self.mask.piece(&data)
                    }
                },
            };
            if !piece.is_empty() {
                return Ok(Some(Bytes::from(piece)));
            }
        }
        Ok(None)
    }
}
