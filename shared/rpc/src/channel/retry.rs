//! Trying again: only calls that say that they may be repeated, only failures that may pass, and never past the deadline.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::{Call, Transport};
use crate::timeout;

const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// A larger request is sent once: keeping it for another try costs more than it is worth.
const MAX_KEPT: usize = 1024 * 1024;

/// Sends a unary request whose method may be repeated. When the deadline leaves no time for another try, the answer is the
/// last failure, which says more than that time ran out.
pub(super) async fn send(
    transport: &Transport,
    call: &Call,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if body.len() > MAX_KEPT {
        return transport.send(call, with_body(parts, body)).await;
    }
    let mut attempt = 1;
    loop {
        let result = transport.send(call, with_body(parts.clone(), body.clone())).await;
        if attempt == TRIES {
            return result;
        }
        let Some(asked) = may_pass(&result) else {
            return result;
        };
        let wait = asked
            .unwrap_or_default()
            .max(jittered(FIRST_WAIT * 2_u32.pow(attempt - 1)));
        let again_at = Instant::now() + wait;
        if let Some(deadline) = call.deadline {
            let left = deadline.saturating_duration_since(again_at);
            if left.is_zero() {
                return result;
            }
            parts.headers.insert(timeout::HEADER, timeout::format(left));
        }
        tokio::time::sleep_until(again_at).await;
        attempt += 1;
    }
}

fn with_body(parts: Parts, body: Bytes) -> Request<Body> {
    Request::from_parts(parts, Body::new(Full::new(body)))
}

/// `Some` when another try may succeed, with how long the callee asks to wait.
///
/// A service that answers with a reason of its own (`AUDIT_UNAVAILABLE`) has waited for what it lacks already; only
/// its `RetryInfo` invites another try.
fn may_pass(result: &Result<Response<Body>, Status>) -> Option<Option<Duration>> {
    let failure = match result {
        Ok(response) => Failure::from(failed(response)?),
        Err(status) => Failure::from(status),
    };
    match failure.code {
        Code::Unavailable if failure.reason == Reason::Unavailable => Some(failure.retry_after),
        Code::Unavailable | Code::Aborted | Code::ResourceExhausted => failure.retry_after.map(Some),
        _ => None,
    }
}

/// The status of an answer that has nothing else: a unary call fails in the headers.
fn failed(response: &Response<Body>) -> Option<Status> {
    if !response.headers().contains_key(Status::GRPC_STATUS) {
        return None;
    }
    Status::from_header_map(response.headers()).filter(|status| status.code() != tonic::Code::Ok)
}

/// Between half of `wait` and all of it, so that callers who failed together do not return together.
pub(super) fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let half = wait / 2;
    let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % span)
}
