//! Asks the search service for one granted query, and answers with what it found, in one shape.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use harombe_redact::Scanner;
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::DuplexStream;

use crate::Error;
use crate::domain::call::SearchCall;
use crate::domain::search::{self, Search};
use crate::tunnel::http::one_request;
use crate::tunnel::record::Tally;
use crate::tunnel::slot::Slot;
use crate::upstream::{Shown, Upstream, UpstreamError};

/// Longest answer of a search service that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// One search, granted and recorded.
#[derive(Debug)]
pub(super) struct Searching {
    pub(super) call: SearchCall,
    pub(super) upstream: Arc<Upstream>,
    pub(super) kind: Search,
    pub(super) shown: Shown,
    pub(super) max_bytes: u64,
    pub(super) tally: Arc<Tally>,
}

/// Serves the one request of a tunnel with what the search finds.
///
/// # Errors
/// The request is no HTTP, or the search failed.
pub(super) async fn serve(io: DuplexStream, searching: Searching) -> Result<(), Error> {
    let slot = Slot::default();
    let tally = searching.tally.clone();
    let once = Mutex::new(Some(searching));
    let service = service_fn(|request: http::Request<Incoming>| {
        let searching = once.lock().take();
        let slot = slot.clone();
        async move { answer(&request, searching).await.map_err(|error| slot.end(error)) }
    });
    let served = one_request().serve_connection(TokioIo::new(io), service).await;
    match (slot.take(), served) {
        (Some(error), _) => Err(error),
        (None, Ok(())) if tally.status.load(Ordering::Relaxed) != 0 => Ok(()),
        (None, _) => Err(Error::Request),
    }
}

/// What is sent comes from the call; of the request it only matters that it is there and says nothing more.
async fn answer(
    request: &http::Request<Incoming>,
    searching: Option<Searching>,
) -> Result<http::Response<Full<Bytes>>, Error> {
    let Some(searching) = searching.filter(|_| request.method() == http::Method::GET) else {
        return Err(Error::Mismatch("method"));
    };
    if !request.body().is_end_stream() {
        return Err(Error::Mismatch("body"));
    }
    let tally = searching.tally.clone();
    let body = ask(searching).await?;
    tally
        .received
        .store(u64::try_from(body.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    let mut response = http::Response::new(Full::new(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

async fn ask(searching: Searching) -> Result<Bytes, Error> {
    let Searching {
        call, upstream, kind, ..
    } = searching;
    let target = search::target(kind, &call);
    let target = target
        .parse()
        .map_err(|_| Error::Frame("the query cannot be asked"))?;
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut fields = HeaderMap::new();
    fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let request = upstream.request(http::Method::GET, &target, &fields, body);
    let request = request.map_err(|unfit| Error::Denied(unfit.into()))?;
    let sent = upstream.send(request, searching.shown, &searching.tally.sent);
    let mut answer = sent.await.map_err(Error::Service)?;
    searching
        .tally
        .status
        .store(answer.status.as_u16(), Ordering::Relaxed);
    if answer.status != http::StatusCode::OK {
        return Err(Error::Service(UpstreamError::Status(answer.status.as_u16())));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.body.next().await.map_err(Error::Service)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_ANSWER {
            return Err(Error::Service(UpstreamError::TooLong));
        }
    }
    let most = usize::from(call.max_results);
    let results = search::read(kind, &bytes, most, Scanner::shared());
    let results = results.ok_or(Error::Service(UpstreamError::NoResults))?;
    Ok(Bytes::from(search::write(results, searching.max_bytes)))
}
