//! Files into a session's workspace and out of it, streamed through without being held.

use bytes::Bytes;
use futures_util::StreamExt as _;
use harombe_proto::agent::v1::{
    DownloadFileResponse, UploadFileRequest, UploadFileResponse, UploadStart, upload_file_request::Frame,
};
use harombe_proto::runtime::v1 as runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::{Answers, Visitor};
use crate::Error;
use crate::domain::upload::{MAX_FILE, Meter};
use crate::peers::{Peers, RUNTIME, passed_on};

/// Frames between the client and runtime; a frame is at most 4 MiB.
const IN_FLIGHT: usize = 2;

type Frames = mpsc::Sender<runtime::UploadFileRequest>;

pub(crate) async fn upload(
    peers: &Peers,
    visitor: &Visitor,
    mut frames: Streaming<UploadFileRequest>,
) -> Result<Response<UploadFileResponse>, Status> {
    let Some(Frame::Start(start)) = frames.message().await?.and_then(|first| first.frame) else {
        return Err(Error::UploadFrames.into());
    };
    let session = start.session_id.parse().map_err(Error::Id)?;
    let meter = Meter::begin(&start.path, start.size, &start.sha256)?;
    let session = peers.session(visitor, session).await?;
    let run = peers.tokens.new_run(&visitor.person, &session)?;

    let (out, passed) = mpsc::channel(IN_FLIGHT);
    let request = peers.tokens.run(ReceiverStream::new(passed), &run)?;
    let mut runtime = peers.runtime.clone();
    let mut written = std::pin::pin!(runtime.upload_file(request));
    let mut pumped = std::pin::pin!(pump(start, meter, frames, out));
    // Runtime's answer is the answer, also when it comes before the last frame. When the client breaks its word the
    // call is dropped; should runtime take that for the end, size and digest tell it otherwise.
    let written = tokio::select! {
        biased;
        written = &mut written => written,
        pumped = &mut pumped => {
            pumped?;
            written.await
        }
    };
    let written = written
        .map_err(|status| passed_on(RUNTIME, &status))?
        .into_inner();
    Ok(Response::new(UploadFileResponse {
        path: written.path,
        size: written.size,
    }))
}

/// Passes the frames on as they come, at the pace at which they are taken.
async fn pump(
    start: UploadStart,
    mut meter: Meter,
    mut frames: Streaming<UploadFileRequest>,
    out: Frames,
) -> Result<(), Status> {
    let begin = runtime::UploadStart {
        path: start.path,
        size: start.size,
        sha256: start.sha256,
    };
    let mut frame = runtime::upload_file_request::Frame::Start(begin);
    loop {
        if out
            .send(runtime::UploadFileRequest { frame: Some(frame) })
            .await
            .is_err()
        {
            // Runtime has stopped listening; its answer says why.
            return Ok(());
        }
        let Some(message) = frames.message().await? else {
            break;
        };
        let Some(Frame::Data(data)) = message.frame else {
            return Err(Error::UploadFrames.into());
        };
        meter.count(data.len())?;
        frame = runtime::upload_file_request::Frame::Data(data);
    }
    meter.end()?;
    Ok(())
}

/// The file's bytes as runtime sends them, cut off with an error beyond what a file may have.
pub(crate) fn download(
    stream: Streaming<runtime::DownloadFileResponse>,
) -> Response<Answers<DownloadFileResponse>> {
    let answers = stream.scan(Some(MAX_FILE), |left, item| {
        let item = next_part(left, item);
        std::future::ready(item)
    });
    Response::new(Box::pin(answers))
}

fn next_part(
    left: &mut Option<u64>,
    item: Result<runtime::DownloadFileResponse, Status>,
) -> Option<Result<DownloadFileResponse, Status>> {
    let before = left.take()?;
    Some(match item {
        Ok(part) => match before.checked_sub(length(&part.data)) {
            Some(after) => {
                *left = Some(after);
                Ok(DownloadFileResponse { data: part.data })
            }
            None => Err(Error::LargeFile { max: MAX_FILE }.into()),
        },
        Err(status) => Err(passed_on(RUNTIME, &status)),
    })
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}
