//! egress-proxy: whether a fetch could be allowed, and the fetch itself, as HTTP/1.1 through a tunnel.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt as _;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1 as wire;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_proto::egress::v1::tunnel_response::Frame as Answer;
use harombe_rpc::GrpcChannel;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Permission, nonsense, with_token};

/// Bytes that wait in either direction between hyper and the tunnel.
const BUFFER: usize = 64 * 1024;

/// By which the proxy says, before or after the body, that it cut it.
const TRUNCATED: &str = "harombe-truncated";

/// The client.
#[derive(Clone)]
pub(crate) struct Egress(EgressServiceClient<GrpcChannel>);

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
        let (frames, outgoing) = mpsc::channel(16);
        let open = wire::TunnelOpen {
            grant: permission.grant.clone(),
            call: permission.call.clone(),
            upstream: String::new(),
        };
        // the channel has room: this is its first item
        let _ = frames.try_send(wire::TunnelRequest {
            frame: Some(Frame::Open(open)),
        });
        let stream = with_token(ReceiverStream::new(outgoing), &permission.token);
        let mut incoming = self
            .0
            .clone()
            .tunnel(stream)
            .await
            .map_err(|status| at(&status))?
            .into_inner();
        opened(&mut incoming).await?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (read, write) = tokio::io::split(theirs);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours))
            .await
            .map_err(|error| broken(&error))?;
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| broken(&error))?;
            read_response(response, limit).await
        };
        let pump = pump(incoming, write, read, frames);
        let connection = async {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "the tunnel's connection ended");
            }
            std::future::pending::<Failure>().await
        };
        tokio::select! {
            fetched = exchange => fetched,
            failure = pump => Err(failure),
            failure = connection => Err(failure),
        }
    }
}

async fn opened(incoming: &mut Streaming<wire::TunnelResponse>) -> Result<(), Failure> {
    match incoming.next().await {
        Some(Ok(wire::TunnelResponse {
            frame: Some(Answer::Opened(_)),
        })) => Ok(()),
        Some(Err(status)) => Err(at(&status)),
        _ => Err(nonsense("an opened tunnel")),
    }
}

/// Carries bytes between hyper and the tunnel. Returns only when the proxy breaks the tunnel with a status.
async fn pump(
    mut incoming: Streaming<wire::TunnelResponse>,
    mut write: WriteHalf<DuplexStream>,
    mut read: ReadHalf<DuplexStream>,
    frames: mpsc::Sender<wire::TunnelRequest>,
) -> Failure {
    let inward = async {
        loop {
            match incoming.next().await {
                Some(Ok(wire::TunnelResponse {
                    frame: Some(Answer::Data(data)),
                })) => {
                    if write.write_all(&data).await.is_err() {
                        break;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(status)) => return at(&status),
                None => break,
            }
        }
        // hyper sees the end of the stream and decides whether the response was complete
        let _ = write.shutdown().await;
        std::future::pending().await
    };
    let outward = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = read.read(&mut buffer).await {
            let data = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            if frames
                .send(wire::TunnelRequest {
                    frame: Some(Frame::Data(data)),
                })
                .await
                .is_err()
            {
                break;
            }
        }
        std::future::pending::<Failure>().await
    };
    tokio::select! {
        failure = inward => failure,
        failure = outward => failure,
    }
}

fn http_request(arguments: serde_json::Value) -> Result<http::Request<Empty<Bytes>>, Failure> {
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
        .body(Empty::new())
        .map_err(|error| invalid(format!("the request cannot be made: {error}")))
}

async fn read_response(
    response: http::Response<hyper::body::Incoming>,
    limit: usize,
) -> Result<Fetched, Failure> {
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get(http::header::CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    let mut cut = response.headers().contains_key(TRUNCATED);
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        cut |= frame
            .trailers_ref()
            .is_some_and(|trailers| trailers.contains_key(TRUNCATED));
        let Ok(data) = frame.into_data() else { continue };
        let room = limit.saturating_sub(body.len());
        body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            cut = true;
            break;
        }
    }
    Ok(Fetched {
        status,
        content_type,
        body,
        cut,
    })
}
