//! Uploads and downloads that are slow, many, broken off, or more than there is room for.

use std::time::Duration;

use bytes::Bytes;
use harombe_config::Size;
use harombe_error::Reason;
use harombe_proto::sandbox::v1 as proto;
use harombe_proto::sandbox::v1::write_file_request::Frame;
use harombe_sandbox_broker::{Config, LimitSettings};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::bench::{Bench, reason};
use crate::files::upload;

/// An upload whose frames come when the test sends them.
struct Uploading {
    frames: mpsc::Sender<proto::WriteFileRequest>,
    answer: JoinHandle<Result<u64, Status>>,
}

impl Uploading {
    /// Sends the start of an upload that will have this content.
    async fn begin(b: &Bench, workspace: &str, path: &str, content: &[u8]) -> Self {
        let (frames, stream) = mpsc::channel(4);
        let start = proto::WriteFileStart {
            permission: b.permitted("file_write", &upload(path, content)),
            workspace_id: workspace.to_owned(),
        };
        let frame = Some(Frame::Start(start));
        frames.send(proto::WriteFileRequest { frame }).await.unwrap();
        let mut client = b.client();
        let request = b.request(ReceiverStream::new(stream));
        let answer = tokio::spawn(async move { Ok(client.write_file(request).await?.into_inner().size) });
        Self { frames, answer }
    }

    async fn send(&self, data: &[u8]) {
        let frame = Some(Frame::Data(Bytes::copy_from_slice(data)));
        self.frames.send(proto::WriteFileRequest { frame }).await.unwrap();
    }

    /// Ends it, and waits for the answer.
    async fn end(self) -> Result<u64, Status> {
        drop(self.frames);
        self.answer.await.unwrap()
    }
}

impl Bench {
    async fn download(
        &self,
        workspace: &str,
        path: &str,
    ) -> Result<Streaming<proto::ReadFileResponse>, Status> {
        let message = proto::ReadFileRequest {
            permission: self.permitted("file_read", &json!({ "path": path, "raw": true })),
            workspace_id: workspace.to_owned(),
        };
        Ok(self.client().read_file(self.request(message)).await?.into_inner())
    }

    async fn holding(&self, workspace: &str, path: &str, content: &[u8]) {
        let permission = self.permitted("file_write", &upload(path, content));
        let parts: Vec<&[u8]> = content.chunks(1 << 20).collect();
        self.write(permission, workspace, &parts).await.unwrap();
    }

    fn received_so_far(&self) -> usize {
        let incoming = self.data.path().join("broker/workspaces/.incoming");
        std::fs::read_dir(incoming).unwrap().count()
    }

    fn outcomes(&self) -> Vec<String> {
        self.sink
            .events()
            .into_iter()
            .map(|event| event.outcome)
            .collect()
    }
}

#[tokio::test]
async fn an_upload_may_take_longer_than_its_grant_lives() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let uploading = Uploading::begin(&b, &workspace, "f", b"slowly").await;
    b.sink.wait_for(1).await;
    assert_eq!(b.spent(), 1, "the grant is spent before the content comes");
    b.clock.advance(Duration::from_secs(300));
    uploading.send(b"slow").await;
    uploading.send(b"ly").await;
    assert_eq!(uploading.end().await.unwrap(), 6);
    assert_eq!(
        std::fs::read(b.directory(&workspace).join("f")).unwrap(),
        b"slowly"
    );
    assert_eq!((b.outcomes(), b.received_so_far()), (vec!["ok".into(); 2], 0));
}

#[tokio::test]
async fn uploads_at_the_same_time_keep_to_the_quota_together() {
    let limits = LimitSettings {
        workspace: Size::from(1 << 20),
        ..LimitSettings::default()
    };
    let b = Bench::with(Config {
        limits,
        ..Config::default()
    })
    .await;
    let workspace = b.workspace().await;
    let content = vec![7; 600_000];
    // Both begin while there is room for each.
    let first = Uploading::begin(&b, &workspace, "first", &content).await;
    let second = Uploading::begin(&b, &workspace, "second", &content).await;
    b.sink.wait_for(2).await;
    first.send(&content).await;
    second.send(&content).await;
    let ended = [first.end().await, second.end().await];
    let refused: Vec<Reason> = ended
        .iter()
        .filter_map(|end| end.as_ref().err())
        .map(reason)
        .collect();
    assert_eq!(refused, [Reason::WorkspaceFull]);
    assert_eq!(b.received_so_far(), 0);
    // One that cannot fit is refused before its grant is spent.
    let third = Uploading::begin(&b, &workspace, "third", &content).await;
    assert_eq!(reason(&third.end().await.unwrap_err()), Reason::WorkspaceFull);
    assert_eq!(b.spent(), 2);
}

#[tokio::test]
async fn one_person_has_so_many_transfers_and_no_more() {
    let b = Bench::with(Config {
        transfers_per_subject: 2,
        ..Config::default()
    })
    .await;
    let workspace = b.workspace().await;
    b.holding(&workspace, "large", &vec![1; 3 << 20]).await;
    let uploading = Uploading::begin(&b, &workspace, "f", b"x").await;
    b.sink.wait_for(3).await;
    let mut download = b.download(&workspace, "large").await.unwrap();
    let refused = b.download(&workspace, "large").await.unwrap_err();
    assert_eq!(reason(&refused), Reason::LimitExceeded);
    let refused = Uploading::begin(&b, &workspace, "g", b"x").await.end().await;
    assert_eq!(reason(&refused.unwrap_err()), Reason::LimitExceeded);
    assert_eq!(b.spent(), 3, "who is not let in keeps the grant");
    uploading.send(b"x").await;
    uploading.end().await.unwrap();
    while download.message().await.unwrap().is_some() {}
    b.holding(&workspace, "g", b"x").await;
}

#[tokio::test]
async fn a_download_is_sent_as_it_is_taken_and_its_end_recorded_before_the_last_byte() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let content: Vec<u8> = (0..5_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    b.holding(&workspace, "large", &content).await;
    let mut download = b.download(&workspace, "large").await.unwrap();
    let mut read = Vec::new();
    while read.len() < 1_000_000 {
        read.extend_from_slice(&download.message().await.unwrap().unwrap().data);
    }
    assert_eq!(b.outcomes().len(), 3, "nothing is read much before it is taken");
    while read.len() < content.len() {
        read.extend_from_slice(&download.message().await.unwrap().unwrap().data);
    }
    assert_eq!(b.kinds(), ["exec.started", "exec.finished"].repeat(2));
    assert!(download.message().await.unwrap().is_none());
    assert!(read == content);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_its_download_and_that_is_recorded() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    b.holding(&workspace, "large", &vec![1; 5_000_000]).await;
    let mut download = b.download(&workspace, "large").await.unwrap();
    download.message().await.unwrap().unwrap();
    drop(download);
    b.sink.wait_for(4).await;
    assert_eq!(b.outcomes(), ["ok", "ok", "ok", "cancelled"]);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_told_that_the_file_is_not_whole() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    b.holding(&workspace, "large", &vec![1; 5_000_000]).await;
    let mut download = b.download(&workspace, "large").await.unwrap();
    download.message().await.unwrap().unwrap();
    // From here on nothing happens but that a minute passes.
    tokio::time::pause();
    b.sink.wait_for(4).await;
    assert_eq!(b.outcomes(), ["ok", "ok", "ok", "cancelled"]);
    let refused = loop {
        match download.message().await {
            Ok(part) => assert!(part.is_some(), "the stream ended as if the file were whole"),
            Err(refused) => break refused,
        }
    };
    assert_eq!(reason(&refused), Reason::DeadlineExceeded);
}

#[tokio::test]
async fn a_silent_sender_is_not_waited_for_longer_than_a_minute() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let uploading = Uploading::begin(&b, &workspace, "f", b"never").await;
    b.sink.wait_for(1).await;
    tokio::time::pause();
    let refused = uploading.answer.await.unwrap().unwrap_err();
    assert_eq!(reason(&refused), Reason::DeadlineExceeded);
    assert_eq!(b.outcomes(), ["ok", "cancelled"]);
    assert_eq!(b.received_so_far(), 0);
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_nothing_and_that_is_recorded() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let uploading = Uploading::begin(&b, &workspace, "f", &[7; 1000]).await;
    uploading.send(&[7; 999]).await;
    b.sink.wait_for(1).await;
    uploading.answer.abort();
    drop(uploading.frames);
    b.sink.wait_for(2).await;
    assert_ne!(b.outcomes(), ["ok", "ok"]);
    assert_eq!(std::fs::read_dir(b.directory(&workspace)).unwrap().count(), 0);
}

#[tokio::test]
async fn deleting_the_workspace_ends_an_upload_into_it() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let uploading = Uploading::begin(&b, &workspace, "f", b"never").await;
    b.sink.wait_for(1).await;
    let delete = proto::DeleteWorkspaceRequest {
        workspace_id: workspace.clone(),
    };
    b.client().delete_workspace(b.request(delete)).await.unwrap();
    let refused = uploading.answer.await.unwrap().unwrap_err();
    assert_eq!(reason(&refused), Reason::WorkspaceLost);
    assert_eq!(b.outcomes(), ["ok", "cancelled"]);
    assert_eq!(
        (b.directory(&workspace).exists(), b.received_so_far()),
        (false, 0)
    );
}
