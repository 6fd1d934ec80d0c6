//! Files: what is written is what is read, by code, by tools and by the person.

use harombe_e2e::{Answer, Stage, reason_of};
use harombe_error::Reason;
use harombe_proto::agent::v1::DeleteSessionRequest;
use harombe_proto::agent::v1::GetSessionRequest;
use harombe_proto::agent::v1::{GetRunRequest, WatchRunRequest};
use harombe_proto::types::v1::ToolOutcome;
use harombe_testkit::{files_under, holding};

use crate::support::{ANSWER, ending, outcomes, shell, start, talk};

both!(
    files_go_round,
    files_go_in_and_out,
    a_deleted_session_leaves_nothing_behind
);

const THREE_AT_ONCE: &str = r#"
[[turn]]
text = "I will read both and list them."
[[turn.calls]]
tool = "file_read"
arguments = { path = "a.txt" }
[[turn.calls]]
tool = "file_read"
arguments = { path = "sub/b.txt" }
[[turn.calls]]
tool = "file_list"
"#;

const WRITE: &str = r#"
[[turn]]
text = "I will write."
[[turn.calls]]
tool = "file_write"
arguments = { path = "sub/b.txt", content = "from the tool" }
"#;

async fn files_go_round(stage: &Stage) {
    let script = [
        shell("printf 'from the shell' > a.txt"),
        WRITE.to_owned(),
        THREE_AT_ONCE.to_owned(),
        shell("cat a.txt; echo; cat sub/b.txt"),
        ANSWER.to_owned(),
    ];
    let world = start(stage, &script.concat()).await;
    let mut talk = talk(&world).await;
    talk.say("Write and read.", Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""); 6]);
    // Calls of one turn run side by side and may end in any order.
    let finished = talk.finished();
    let mut results: Vec<_> = finished[2..5].iter().map(|call| call.result.as_str()).collect();
    results.sort_unstable_by_key(|text| text.len());
    assert_eq!(results[..2], ["from the tool", "from the shell"]);
    assert!(results[2].contains("a.txt (14 bytes)"), "{results:?}");
    assert!(results[2].contains("sub"), "{results:?}");
    assert_eq!(finished[5].result, "from the shell\nfrom the tool");
    assert_eq!(talk.download("sub/b.txt").await.unwrap(), b"from the tool");
    let log = world.stop().await.log().await;
    assert_eq!(
        log.count("exec.started"),
        7,
        "six calls and the download, each on record"
    );
}

async fn files_go_in_and_out(stage: &Stage) {
    let world = start(stage, ANSWER).await;
    let mut talk = talk(&world).await;
    // Neither text nor a multiple of any frame.
    let content: Vec<u8> = (0..300_001_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    talk.upload("in/data.bin", &content).await.unwrap();
    assert_eq!(talk.download("in/data.bin").await.unwrap(), content);
    talk.upload("in/data.bin", b"").await.unwrap();
    assert_eq!(talk.download("in/data.bin").await.unwrap(), b"");
    let missing = talk.download("nothing.txt").await.unwrap_err();
    assert_eq!(reason_of(&missing), Reason::FileNotFound);
    for path in ["../out", "/etc/passwd", ""] {
        let refused = talk.upload(path, b"x").await.unwrap_err();
        let refusals = [tonic::Code::InvalidArgument, tonic::Code::FailedPrecondition];
        assert!(refusals.contains(&refused.code()), "{path:?}: {refused}");
    }
    let stopped = world.stop().await;
    let workspaces = stopped.data().join("broker/workspaces");
    assert_eq!(files_under(&workspaces).len(), 1, "nothing but the file");
    stopped.log().await;
}

async fn a_deleted_session_leaves_nothing_behind(stage: &Stage) {
    const SAID: &str = "a remark about walnut marmalade";
    let script = [shell("echo kept > kept.txt"), ANSWER.to_owned()].concat();
    let world = start(stage, &script).await;
    let mut talk = talk(&world).await;
    talk.say(SAID, Answer::Approve).await.unwrap();
    let run_id = talk.run_id().to_owned();
    let workspaces = world.data().join("broker/workspaces");
    assert_eq!(files_under(&workspaces).len(), 1);

    let session_id = talk.session.clone();
    let agent = &mut talk.client.agent;
    agent
        .delete_session(DeleteSessionRequest {
            session_id: session_id.clone(),
        })
        .await
        .unwrap();
    let gone = [
        agent
            .get_session(GetSessionRequest { session_id })
            .await
            .unwrap_err(),
        agent
            .get_run(GetRunRequest {
                run_id: run_id.clone(),
            })
            .await
            .unwrap_err(),
        agent
            .watch_run(WatchRunRequest {
                run_id,
                after_cursor: 0,
            })
            .await
            .unwrap_err(),
        talk.download("kept.txt").await.unwrap_err(),
        talk.say("Again?", Answer::Approve).await.unwrap_err(),
    ];
    for status in gone {
        assert_eq!(reason_of(&status), Reason::NotFound, "{status}");
    }
    let left = std::fs::read_dir(&workspaces).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".incoming"], "only what no session has is there");
    assert!(files_under(&workspaces).is_empty());
    let stopped = world.stop().await;
    assert_eq!(
        holding(stopped.root(), "walnut marmalade"),
        Vec::<std::path::PathBuf>::new()
    );
    stopped.log().await;
    assert_eq!(ending(&talk.events), "not ended, but None");
}
