//! Serves the HTTP/1.1 in a tunnel: the one request must be the granted call, and everything that is sent comes
//! from the call, not from the request.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use http::header::{self, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use crate::Error;
use crate::domain::policy::Method;
use crate::domain::target::Target;
use crate::fetch::{Body, Fetched, Fetcher};
use crate::tunnel::Act;
use crate::tunnel::http::one_request;
use crate::tunnel::record::Tally;
use crate::tunnel::slot::{Ended, Slot};

/// Set when the body was, or may have been, cut at its budget: what follows the head is not all there was.
const TRUNCATED: &str = "harombe-truncated";

type Answer = http::Response<UnsyncBoxBody<Bytes, Ended>>;

/// Serves one request and its response.
///
/// # Errors
/// The request is not the call's, or the exchange with the peer failed.
pub(super) async fn serve(
    io: DuplexStream,
    act: Arc<Act>,
    fetcher: &Fetcher,
    tally: Arc<Tally>,
) -> Result<(), Error> {
    let slot = Slot::default();
    let service = service_fn(|request| answer(request, &act, fetcher, &tally, &slot));
    let served = one_request().serve_connection(TokioIo::new(io), service).await;
    let cause = slot.take();
    match (cause, served) {
        (Some(error), _) => Err(error),
        (None, Ok(())) if tally.status.load(Ordering::Relaxed) != 0 => Ok(()),
        (None, _) => Err(Error::Request),
    }
}

async fn answer(
    request: http::Request<Incoming>,
    act: &Act,
    fetcher: &Fetcher,
    tally: &Arc<Tally>,
    slot: &Slot,
) -> Result<Answer, Ended> {
    check(&request, act).map_err(|error| slot.end(error))?;
    let fetched = fetcher
        .fetch(&act.allowed, act.outgoing.fields.clone(), act.max_bytes)
        .await;
    let Fetched { head, body } = fetched.map_err(|error| slot.end(Error::Upstream(error)))?;
    tally.status.store(head.status, Ordering::Relaxed);
    let mut response = http::Response::new(stream_body(body, tally.clone(), slot.clone()));
    *response.status_mut() = http::StatusCode::from_u16(head.status)
        .map_err(|_| slot.end(Error::Frame("the peer's status is not a status")))?;
    *response.headers_mut() = head.fields;
    frame(response.headers_mut(), act);
    Ok(response)
}

/// A body that is redacted, and may be cut, has no length of its own any more.
fn frame(fields: &mut http::HeaderMap, act: &Act) {
    if act.allowed.method == Method::Head {
        return;
    }
    let length = fields
        .remove(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > act.max_bytes) {
        fields.insert(TRUNCATED, HeaderValue::from_static("true"));
    } else {
        fields.insert(header::TRAILER, HeaderValue::from_static(TRUNCATED));
    }
}

fn stream_body(body: Body, tally: Arc<Tally>, slot: Slot) -> UnsyncBoxBody<Bytes, Ended> {
    let pieces = stream::try_unfold(
        (body, tally, slot, false),
        |(mut body, tally, slot, over)| async move {
            if over {
                return Ok(None);
            }
            let piece = body
                .next()
                .await
                .map_err(|error| slot.end(Error::Upstream(error)))?;
            tally.received.store(body.received(), Ordering::Relaxed);
            tally.truncated.store(body.truncated(), Ordering::Relaxed);
            tally.redactions.lock().clone_from(body.redactions());
            let frame = match piece {
                Some(data) => Frame::data(data),
                None if body.truncated() => {
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert(TRUNCATED, HeaderValue::from_static("true"));
                    return Ok(Some((Frame::trailers(trailers), (body, tally, slot, true))));
                }
                None => return Ok(None),
            };
            Ok(Some((frame, (body, tally, slot, false))))
        },
    );
    StreamBody::new(pieces).boxed_unsync()
}

/// Holds the request against the call, in absolute form or with a Host field.
fn check(request: &http::Request<Incoming>, act: &Act) -> Result<(), Error> {
    let target = &act.allowed.target;
    if request.method().as_str() != act.allowed.method.as_str() {
        return Err(Error::Mismatch("method"));
    }
    if !request.body().is_end_stream() {
        return Err(Error::Mismatch("body"));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().map_err(|_| Error::Mismatch("host"))?),
        (Some(_), Some(_)) => return Err(Error::Mismatch("host")),
    };
    let same = |url: &str| Target::parse(url).is_ok_and(|asked| asked == *target);
    let scheme = target.scheme().as_str();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if request.uri().authority().is_some() && !same(&request.uri().to_string()) {
        return Err(Error::Mismatch("url"));
    }
    let host_fits = match (host, request.uri().authority()) {
        (Some(host), _) => same(&format!("{scheme}://{host}{path}")),
        (None, absolute) => absolute.is_some(),
    };
    if host_fits {
        Ok(())
    } else {
        Err(Error::Mismatch("url"))
    }
}
