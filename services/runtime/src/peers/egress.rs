//! egress-proxy: whether a call could be allowed, and what goes out through a tunnel: a fetch, a search, a question to a
//! model.

mod tunnel;

use std::collections::BTreeMap;

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1 as wire;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_rpc::GrpcChannel;
use http_body_util::Full;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Permission, with_token};
pub(crate) use tunnel::Answer;

/// Longest answer of a search, in bytes: the proxy keeps it far below.
const MAX_FOUND: usize = 1 << 20;

/// By which the proxy says, before or after the body, that it cut it.
const TRUNCATED: &str = "harombe-truncated";

/// The client.
#[derive(Clone)]
pub(crate) struct Egress(EgressServiceClient<GrpcChannel>);

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Egress")
    }
}

/// A response from the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The Content-Type as the server gave it.
    pub content_type: String,
    /// At most as many bytes as were asked for.
    pub body: Vec<u8>,
    /// There was more.
    pub cut: bool,
}

/// One thing that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct SearchResult {
    /// The page's title.
    pub title: String,
    /// Where it is.
    pub url: String,
    /// A few words of it.
    pub snippet: String,
}

#[derive(Debug, Deserialize)]
struct Found {
    results: Vec<SearchResult>,
}

/// The arguments of `web_fetch` that make the request.
#[derive(Debug, Deserialize)]
struct Target {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn at(status: &Status) -> Failure {
    super::failure(status, Reason::EgressUnavailable)
}

fn broken(error: &dyn std::error::Error) -> Failure {
    tracing::debug!(error = %error, "a fetch broke off");
    Failure::new(
        Code::Unavailable,
        Reason::UpstreamFailed,
        "the connection broke off before the response was complete",
    )
}

impl Egress {
    pub(super) fn new(channel: GrpcChannel) -> Self {
        Self(EgressServiceClient::new(channel))
    }

    /// Whether the policy could allow the call. `Err` in the answer says which stage denies, and why.
    pub(crate) async fn check(&self, token: &str, call: &[u8]) -> Result<Result<(), String>, Failure> {
        let message = wire::CheckRequest {
            call: call.to_vec().into(),
        };
        let response = self
            .0
            .clone()
            .check(with_token(message, token))
            .await
            .map_err(|status| at(&status))?;
        let wire::CheckResponse {
            allowed,
            stage,
            reason,
            ..
        } = response.into_inner();
        Ok(if allowed {
            Ok(())
        } else {
            Err(format!("{stage}: {reason}"))
        })
    }

    /// Performs the fetch that the call names and reads at most `limit` bytes of the body.
    pub(crate) async fn fetch(
        &self,
        permission: &Permission,
        arguments: serde_json::Value,
        limit: usize,
    ) -> Result<Fetched, Failure> {
        let request = http_request(arguments)?;
        let answer = self
            .exchange(&permission.token, granted(permission), request)
            .await?;
        read_response(answer, limit).await
    }

    /// What the search that the call names finds.
    pub(crate) async fn search(&self, permission: &Permission) -> Result<Vec<SearchResult>, Failure> {
        // the proxy makes the real request; this one only asks for its answer
        let request = http::Request::get("/")
            .header(http::header::HOST, "search")
            .body(Full::default())
            .map_err(|error| broken(&error))?;
        let answer = self
            .exchange(&permission.token, granted(permission), request)
            .await?;
        let fetched = read_response(answer, MAX_FOUND).await?;
        let found: Found = serde_json::from_slice(&fetched.body).map_err(|error| broken(&error))?;
        Ok(found.results)
    }

    /// Sends a request to an upstream of the operator's.
    pub(crate) async fn ask(
        &self,
        token: &str,
        upstream: &str,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Answer, Failure> {
        let open = wire::TunnelOpen {
            upstream: upstream.to_owned(),
            ..wire::TunnelOpen::default()
        };
        self.exchange(token, open, request).await
    }

    async fn exchange(
        &self,
        token: &str,
        open: wire::TunnelOpen,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Answer, Failure> {
        let (frames, outgoing) = mpsc::channel(16);
        // the channel has room: this is its first item
        let _ = frames.try_send(wire::TunnelRequest {
            frame: Some(Frame::Open(open)),
        });
        let stream = with_token(ReceiverStream::new(outgoing), token);
        let incoming = self
            .0
            .clone()
            .tunnel(stream)
            .await
            .map_err(|status| at(&status))?
            .into_inner();
        Answer::of(request, incoming, frames).await
    }
}

fn granted(permission: &Permission) -> wire::TunnelOpen {
    wire::TunnelOpen {
        grant: permission.grant.clone(),
        call: permission.call.clone(),
        ..wire::TunnelOpen::default()
    }
}

fn http_request(arguments: serde_json::Value) -> Result<http::Request<Full<Bytes>>, Failure> {
    let invalid = |words: String| Failure::new(Code::InvalidArgument, Reason::CallInvalid, words);
    let target: Target = serde_json::from_value(arguments).map_err(|error| invalid(error.to_string()))?;
    let url: http::Uri = target
        .url
        .parse()
        .map_err(|error| invalid(format!("the URL cannot be used: {error}")))?;
    let authority = url
        .authority()
        .ok_or_else(|| invalid("the URL names no host".into()))?
        .clone();
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = http::Request::builder()
        .method(target.method.as_deref().unwrap_or("GET"))
        .uri(path)
        .header(http::header::HOST, authority.as_str())
        // For the proxy alone: what goes out has only the call's own headers.
        .header(http::header::TE, "trailers");
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    request
        .body(Full::default())
        .map_err(|error| invalid(format!("the request cannot be made: {error}")))
}

async fn read_response(mut answer: Answer, limit: usize) -> Result<Fetched, Failure> {
    let status = answer.status().as_u16();
    let content_type = answer
        .headers()
        .get(http::header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    let mut body = Vec::new();
    while let Some(data) = answer.next().await? {
        let room = limit.saturating_sub(body.len());
        body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            return Ok(Fetched {
                status,
                content_type,
                body,
                cut: true,
            });
        }
    }
    let cut = answer.headers().contains_key(TRUNCATED) || answer.trailers().contains_key(TRUNCATED);
    Ok(Fetched {
        status,
        content_type,
        body,
        cut,
    })
}
