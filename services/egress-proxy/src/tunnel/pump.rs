//! Between the frames of a gRPC stream and the bytes of a connection.

use futures_util::StreamExt as _;
use harombe_proto::egress::v1::tunnel_request::Frame;
use harombe_proto::egress::v1::{TunnelRequest, TunnelResponse, tunnel_response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Error;
use crate::tunnel::{Frames, Replies};

/// The largest piece of a reply, in bytes.
const PIECE: usize = 32 * 1024;

/// Nobody reads the answer any more.
pub(super) const GONE: Error = Error::Frame("the caller closed the tunnel");

/// The next frame; `None` when the caller has said all it has to say.
pub(super) async fn next(frames: &mut Frames) -> Result<Option<Frame>, Error> {
    match frames.next().await {
        None => Ok(None),
        Some(Ok(TunnelRequest { frame: Some(frame) })) => Ok(Some(frame)),
        Some(Ok(TunnelRequest { frame: None })) => Err(Error::Frame("a frame of a tunnel holds something")),
        Some(Err(_)) => Err(GONE),
    }
}

pub(super) async fn reply(replies: &Replies, frame: tunnel_response::Frame) -> Result<(), Error> {
    replies
        .send(Ok(TunnelResponse { frame: Some(frame) }))
        .await
        .map_err(|_| GONE)
}

/// Carries the caller's bytes to the HTTP stack. Ends only with a fault: a caller that has said everything
/// still waits for the answer.
pub(super) async fn frames(frames: &mut Frames, mut to_proxy: impl AsyncWrite + Unpin) -> Error {
    loop {
        match next(frames).await {
            Ok(Some(Frame::Data(data))) => {
                if to_proxy.write_all(&data).await.is_err() {
                    // The exchange has ended and says itself how.
                    return std::future::pending().await;
                }
            }
            Ok(Some(Frame::Open(_))) => return Error::Frame("a tunnel is opened once"),
            Ok(None) => {
                let _ = to_proxy.shutdown().await;
                return std::future::pending().await;
            }
            Err(fault) => return fault,
        }
    }
}

/// Carries what the HTTP stack writes to the caller, until the stack has written everything.
pub(super) async fn replies(mut from_proxy: impl AsyncRead + Unpin, replies: &Replies) -> Result<(), Error> {
    loop {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        match from_proxy.read_buf(&mut piece).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => reply(replies, tunnel_response::Frame::Data(piece.freeze())).await?,
        }
    }
}
