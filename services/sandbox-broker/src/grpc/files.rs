//! Files as they go over the wire, in parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use harombe_error::to_status;
use harombe_proto::sandbox::v1 as proto;
use harombe_proto::sandbox::v1::write_file_request::Frame;
use harombe_redact::{Redactor, Scanner};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::authority::Checked;
use crate::broker::{Broker, NOT_TAKEN, SILENCE, sum};
use crate::domain::call::FileRead;
use crate::error::Error;

/// Most bytes of a text in one message: redacted, it may have grown beyond what one can hold.
const PART: usize = 256 << 10;

/// A download and the stream of its parts.
pub(super) struct Sending {
    pub(super) broker: Arc<Broker>,
    pub(super) responses: mpsc::Sender<Result<proto::ReadFileResponse, Status>>,
}

impl Sending {
    /// Tells `begun` whether it may begin; then sends the file to its end, or until nobody reads any more.
    pub(super) async fn run(
        self,
        checked: Checked<FileRead>,
        workspace: String,
        begun: oneshot::Sender<Result<(), Error>>,
    ) {
        let download = match self.broker.open_download(checked, &workspace).await {
            Ok(download) => download,
            Err(error) => {
                // The caller may have gone; then nobody needs to know.
                let _ = begun.send(Err(error));
                return;
            }
        };
        let _ = begun.send(Ok(()));
        // A stream that just stopped would look like a whole file: there is room to say why, whatever the reader does.
        let Ok(last) = self.responses.clone().reserve_owned().await else {
            return;
        };
        let (parts, passing) = mpsc::channel(1);
        let sending = async {
            let sent = self.broker.send(download, &parts).await;
            drop(parts);
            sent
        };
        let (sent, taken) = tokio::join!(sending, self.encode(passing));
        if let Err(error) = sent.and(taken) {
            last.send(Err(to_status(&error)));
        }
    }

    /// When the reader is gone, or takes nothing for long, it returns, and with it the receiver goes: so the broker hears
    /// of it.
    async fn encode(&self, mut parts: mpsc::Receiver<Bytes>) -> Result<(), Error> {
        loop {
            let part = tokio::select! {
                part = parts.recv() => part,
                () = self.responses.closed() => return Ok(()),
            };
            let Some(data) = part else { return Ok(()) };
            let response = proto::ReadFileResponse {
                data,
                ..Default::default()
            };
            match timeout(SILENCE, self.responses.send(Ok(response))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(NOT_TAKEN),
            }
        }
    }
}

/// What follows the start of an upload.
pub(super) fn parts(
    frames: Streaming<proto::WriteFileRequest>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin {
    Box::pin(stream::unfold(frames, async |mut frames| {
        let part = match frames.next().await? {
            Err(_) => Err(Error::BrokenOff("the sender went away")),
            Ok(proto::WriteFileRequest {
                frame: Some(Frame::Data(data)),
            }) => Ok(data),
            Ok(_) => Err(Error::Frame("only data may follow the start")),
        };
        Some((part, frames))
    }))
}

/// A text without its secrets, and how many of each kind there were.
pub(super) fn redacted(contents: &[u8]) -> (Vec<u8>, BTreeMap<String, u32>) {
    let mut redactor = Redactor::new(Scanner::shared());
    let mut safe = redactor.push(contents);
    safe.extend(redactor.finish());
    (safe, sum([redactor.counts()]))
}

/// A text in messages, of which the last tells what was redacted.
pub(super) fn in_parts(mut text: Bytes, redactions: BTreeMap<String, u32>) -> Vec<proto::ReadFileResponse> {
    let mut responses = Vec::new();
    while text.len() > PART {
        responses.push(proto::ReadFileResponse {
            data: text.split_to(PART),
            ..Default::default()
        });
    }
    responses.push(proto::ReadFileResponse {
        data: text,
        redactions,
    });
    responses
}
