use bytes::Bytes;
use harombe_error::{Code, Reason};
use harombe_proto::agent::v1::{
    DownloadFileRequest, UploadFileRequest, UploadFileResponse, UploadStart, upload_file_request::Frame,
};
use harombe_types::SessionId;
use tonic::Status;

use crate::world::{INVALID, NOT_FOUND, World, refused};

fn start(session: &str, path: &str, size: u64) -> Frame {
    let sha256 = Bytes::from_static(&[7; 32]);
    Frame::Start(UploadStart {
        session_id: session.to_owned(),
        path: path.to_owned(),
        size,
        sha256,
    })
}

fn data(size: usize) -> Frame {
    Frame::Data(vec![b'x'; size].into())
}

async fn upload(world: &World, frames: Vec<Frame>) -> Result<UploadFileResponse, Status> {
    let frames = frames
        .into_iter()
        .map(|frame| UploadFileRequest { frame: Some(frame) });
    let stream = tokio_stream::iter(frames.collect::<Vec<_>>());
    Ok(world.agent.clone().upload_file(stream).await?.into_inner())
}

#[tokio::test]
async fn an_upload_is_streamed_through_in_the_persons_name() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let part = 1024 * 1024;
    let size = 5 * u64::try_from(part).unwrap();
    let frames = [start(&session, "a.csv", size)]
        .into_iter()
        .chain((0..5).map(|_| data(part)))
        .collect();
    let written = upload(&world, frames).await.unwrap();
    assert_eq!((&*written.path, written.size), ("a.csv", size));
    let (path, run) = world.runtime.last_seen();
    assert_eq!(
        (&*path, run.session.to_string(), run.subject.as_str()),
        ("a.csv", session, "owner")
    );
}

#[tokio::test]
async fn an_upload_that_breaks_its_word_is_refused() {
    let world = World::new().await;
    let session = &world.session().await.session_id;
    let long_path = "x".repeat(4097);
    let digest = |size| {
        let start = UploadStart {
            session_id: session.clone(),
            path: "a".to_owned(),
            size: 1,
            sha256: vec![0; size].into(),
        };
        Frame::Start(start)
    };
    for (what, frames) in [
        ("no frame", vec![]),
        ("data first", vec![data(1)]),
        ("bad session", vec![start("x", "a", 1), data(1)]),
        ("no path", vec![start(session, "", 1), data(1)]),
        ("long path", vec![start(session, &long_path, 1), data(1)]),
        ("no digest", vec![digest(0), data(1)]),
        ("short digest", vec![digest(31), data(1)]),
        ("too much", vec![start(session, "a", 3), data(2), data(2)]),
        ("too little", vec![start(session, "a", 3), data(2)]),
        ("two starts", vec![start(session, "a", 3), start(session, "a", 3)]),
    ] {
        assert_eq!(refused(upload(&world, frames)).await, INVALID, "{what}");
        assert!(world.runtime.seen.lock().is_empty(), "{what}");
    }
    let big = upload(&world, vec![start(session, "a", 64 * 1024 * 1024 + 1)]);
    assert_eq!(
        refused(big).await,
        (Code::ResourceExhausted, Reason::LimitExceeded)
    );
    let unknown = SessionId::generate(&*world.clock).to_string();
    assert_eq!(
        refused(upload(&world, vec![start(&unknown, "a", 0)])).await,
        NOT_FOUND
    );
}

#[tokio::test]
async fn what_runtime_says_of_an_upload_is_the_answer_before_its_end() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let first = UploadFileRequest {
        frame: Some(start(&session, "refused", 1_000_000)),
    };
    // The client never sends the rest.
    let endless = futures_util::StreamExt::chain(tokio_stream::once(first), tokio_stream::pending());
    let mut agent = world.agent.clone();
    let failure = refused(agent.upload_file(endless)).await;
    assert_eq!(failure, (Code::ResourceExhausted, Reason::WorkspaceFull));
}

#[tokio::test]
async fn a_download_is_streamed_through_up_to_its_limit() {
    let world = World::new().await;
    let session_id = world.session().await.session_id;
    let request = |path: &str| DownloadFileRequest {
        session_id: session_id.clone(),
        path: path.to_owned(),
    };
    let mut agent = world.agent.clone();
    let mut stream = agent.download_file(request("a.csv")).await.unwrap().into_inner();
    let mut size = 0;
    while let Some(part) = stream.message().await.unwrap() {
        size += part.data.len();
    }
    assert_eq!(size, 7);

    let mut stream = agent
        .download_file(request("endless"))
        .await
        .unwrap()
        .into_inner();
    let mut size = 0;
    let status = loop {
        match stream.message().await {
            Ok(Some(part)) => size += part.data.len(),
            Ok(None) => panic!("it was to be cut off"),
            Err(status) => break status,
        }
    };
    assert_eq!(size, 64 * 1024 * 1024);
    assert_eq!(
        refused::<()>(async { Err(status) }).await,
        (Code::ResourceExhausted, Reason::LimitExceeded)
    );

    let unknown = DownloadFileRequest {
        session_id: SessionId::generate(&*world.clock).to_string(),
        ..request("a")
    };
    assert_eq!(refused(agent.download_file(unknown)).await, NOT_FOUND);
}
