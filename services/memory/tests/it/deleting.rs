//! A session that is deleted is nowhere any more.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use tonic::Request;

use crate::conversations::turn;
use crate::rig::{Rig, answer, refused};

/// Every file below the folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("directory") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn deleting_erases_every_byte() {
    const SECRET: &str = "a sentence that must not survive anywhere on the disk";
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let kept = rig.new_session().await;
    turn(&rig, kept, "m1", "stays", "here").await;
    let run = rig.run_in(session);
    // long enough for pages of its own
    let begun = rig.begin(&run, "m1", &SECRET.repeat(500)).await.expect("begin");
    let delete = || {
        Request::new(pb::DeleteSessionRequest {
            session_id: session.to_string(),
        })
        .with_token(rig.ann())
    };
    let mut gateway = rig.as_gateway().conversations;
    refused(
        answer(gateway.delete_session(delete()).await),
        Code::FailedPrecondition,
        Reason::SessionBusy,
    );
    rig.finish(&run, begun.lease.expect("lease").epoch, SECRET)
        .await
        .expect("finish");
    answer(gateway.delete_session(delete()).await).expect("delete");

    for path in files(rig.directory.path()) {
        let bytes = std::fs::read(&path).expect("bytes");
        let found = bytes
            .windows(SECRET.len())
            .any(|window| window == SECRET.as_bytes());
        assert!(!found, "{} still has it", path.display());
    }
    refused(rig.session(session).await, Code::NotFound, Reason::NotFound);
    refused(rig.get_run(run.run).await, Code::NotFound, Reason::NotFound);
    refused(
        answer(gateway.delete_session(delete()).await),
        Code::NotFound,
        Reason::NotFound,
    );
    assert_eq!(rig.session(kept).await.expect("the other one").turns, 1);
}
