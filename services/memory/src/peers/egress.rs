//! The way out: HTTP/1.1 to an upstream of egress-proxy, through a tunnel, in the service's own name.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use harombe_embedding::{SendError, Sender};
use harombe_error::Failure;
use harombe_proto::egress::v1 as wire;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_proto::egress::v1::tunnel_response::Frame as Reply;
use harombe_rpc::GrpcChannel;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Bytes that wait in either direction between hyper and the tunnel.
const BUFFER: usize = 64 * 1024;
/// Frames that wait for the proxy.
const FRAMES: usize = 16;

type Outgoing = mpsc::Sender<wire::OwnTunnelRequest>;
type Incoming = Streaming<wire::OwnTunnelResponse>;

/// An upstream of egress-proxy.
#[derive(Clone)]
pub(crate) struct Egress {
    client: EgressServiceClient<GrpcChannel>,
    upstream: String,
}

/// What keeps a request from being answered.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("egress-proxy did not let it through: {0}")]
    Refused(Failure),
    #[error("egress-proxy did not open the tunnel")]
    Unopened,
    #[error("the exchange broke off")]
    Http(#[from] hyper::Error),
}

impl Egress {
    pub(crate) fn to(channel: GrpcChannel, upstream: &str) -> Self {
        Self {
            client: EgressServiceClient::new(channel),
            upstream: upstream.to_owned(),
        }
    }

    async fn open(&self) -> Result<(Outgoing, Incoming), SendError> {
        let (frames, outgoing) = mpsc::channel(FRAMES);
        let open = wire::TunnelOpen {
            upstream: self.upstream.clone(),
            ..wire::TunnelOpen::default()
        };
        // the channel has room: this is its first item
        let _ = frames.try_send(request(Frame::Open(open)));
        let stream = ReceiverStream::new(outgoing);
        let opened = self.client.clone().own_tunnel(stream).await;
        let mut incoming = opened.map_err(|status| refused(&status))?.into_inner();
        let first = incoming.message().await.map_err(|status| refused(&status))?;
        match first.and_then(|reply| reply.frame?.frame) {
            Some(Reply::Opened(_)) => Ok((frames, incoming)),
            _ => Err(SendError::Failed {
                retry: true,
                source: Broken::Unopened.into(),
            }),
        }
    }

    async fn exchange(
        &self,
        request: http::Request<Bytes>,
        limit: usize,
    ) -> Result<http::Response<Bytes>, SendError> {
        let (frames, incoming) = self.open().await?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (read, write) = tokio::io::split(theirs);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours))
            .await
            .map_err(broken)?;
        let asked = async {
            let response = sender
                .send_request(request.map(Full::new))
                .await
                .map_err(broken)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, limit).collect().await.map_err(|error| {
                match error.downcast::<hyper::Error>() {
                    Ok(error) => broken(*error),
                    Err(_) => SendError::TooLarge,
                }
            })?;
            Ok(http::Response::from_parts(parts, body.to_bytes()))
        };
        // what came before the tunnel broke is still read
        let connection = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        let carried = async { tokio::join!(pump(incoming, write, read, frames), connection).0 };
        tokio::select! {
            biased;
            answer = asked => answer,
            status = carried => Err(refused(&status)),
        }
    }
}

#[async_trait]
impl Sender for Egress {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limit: usize,
    ) -> Result<http::Response<Bytes>, SendError> {
        self.exchange(request, limit).await
    }
}

fn request(frame: Frame) -> wire::OwnTunnelRequest {
    wire::OwnTunnelRequest {
        frame: Some(wire::TunnelRequest { frame: Some(frame) }),
    }
}

/// Whether an upstream is permitted does not change by itself; everything else may.
fn refused(status: &Status) -> SendError {
    let retry = !matches!(
        status.code(),
        tonic::Code::PermissionDenied | tonic::Code::InvalidArgument | tonic::Code::Unimplemented
    );
    SendError::Failed {
        retry,
        source: Broken::Refused(Failure::from(status)).into(),
    }
}

fn broken(error: hyper::Error) -> SendError {
    SendError::Failed {
        retry: true,
        source: Broken::Http(error).into(),
    }
}

/// Carries bytes between hyper and the tunnel. Returns only when the proxy breaks the tunnel with a status.
async fn pump(
    mut incoming: Incoming,
    mut write: WriteHalf<DuplexStream>,
    mut read: ReadHalf<DuplexStream>,
    frames: Outgoing,
) -> Status {
    let inward = async {
        while let Some(reply) = incoming.next().await {
            let data = match reply {
                Ok(reply) => match reply.frame.and_then(|frame| frame.frame) {
                    Some(Reply::Data(data)) => data,
                    _ => continue,
                },
                Err(status) => return status,
            };
            if write.write_all(&data).await.is_err() {
                break;
            }
        }
        // hyper sees the end of the stream and decides whether the answer was complete
        let _ = write.shutdown().await;
        std::future::pending().await
    };
    let outward = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = read.read(&mut buffer).await {
            let data = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            if frames.send(request(Frame::Data(data))).await.is_err() {
                break;
            }
        }
        std::future::pending::<Status>().await
    };
    tokio::select! {
        status = inward => status,
        status = outward => status,
    }
}
