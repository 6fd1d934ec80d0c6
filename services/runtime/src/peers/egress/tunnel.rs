//! HTTP/1.1 through a tunnel: one request, and its answer piece by piece as it comes.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use harombe_error::Failure;
use harombe_proto::egress::v1 as wire;
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_proto::egress::v1::tunnel_response::Frame as Reply;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tonic::Streaming;

use super::super::nonsense;
use super::{at, broken};

/// Bytes that wait in either direction between hyper and the tunnel.
const BUFFER: usize = 64 * 1024;

/// An answer from the outside. Dropping it breaks the exchange off.
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Incoming,
    /// Carries the bytes; ends only when the proxy breaks the tunnel with a status.
    carrier: Pin<Box<dyn Future<Output = Failure> + Send>>,
}

impl Answer {
    /// Sends the request once the tunnel is open, and returns when the head of the answer is there.
    pub(super) async fn of(
        request: http::Request<Full<Bytes>>,
        mut incoming: Streaming<wire::TunnelResponse>,
        frames: mpsc::Sender<wire::TunnelRequest>,
    ) -> Result<Self, Failure> {
        opened(&mut incoming).await?;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (read, write) = tokio::io::split(theirs);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours))
            .await
            .map_err(|error| broken(&error))?;
        let connection = async {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "the tunnel's connection ended");
            }
        };
        let mut carrier: Pin<Box<dyn Future<Output = Failure> + Send>> = Box::pin(async move {
            let pumped = pump(incoming, write, read, frames);
            // what came before the failure is still read
            tokio::join!(pumped, connection).0
        });
        let response = tokio::select! {
            biased;
            failure = &mut carrier => return Err(failure),
            response = sender.send_request(request) => response.map_err(|error| broken(&error))?,
        };
        let (parts, body) = response.into_parts();
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            trailers: HeaderMap::new(),
            body,
            carrier,
        })
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The trailer fields, once the body has ended.
    pub(crate) fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// The exchange broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                failure = &mut self.carrier => return Err(failure),
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = match frame {
                Ok(frame) => frame,
                // the proxy knows better than hyper why
                Err(error) => {
                    return Err((&mut self.carrier)
                        .now_or_never()
                        .unwrap_or_else(|| broken(&error)));
                }
            };
            match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => self.trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
    }
}

async fn opened(incoming: &mut Streaming<wire::TunnelResponse>) -> Result<(), Failure> {
    match incoming.next().await {
        Some(Ok(wire::TunnelResponse {
            frame: Some(Reply::Opened(_)),
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
                    frame: Some(Reply::Data(data)),
                })) => {
                    if write.write_all(&data).await.is_err() {
                        break;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(status)) => {
                    let _ = write.shutdown().await;
                    return at(&status);
                }
                None => break,
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
