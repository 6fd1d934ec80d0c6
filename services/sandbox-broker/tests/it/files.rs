//! Files of a workspace.

use harombe_error::Reason;
use harombe_proto::sandbox::v1 as proto;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, reason};

/// The call of an upload.
pub(crate) fn upload(path: &str, content: &[u8]) -> serde_json::Value {
    let sha256: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({ "path": path, "size": content.len(), "sha256": sha256 })
}

#[tokio::test]
async fn files_are_written_listed_and_read() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let write = b.permitted(
        "file_write",
        &json!({ "path": "a/notes.txt", "content": "hello" }),
    );
    assert_eq!(b.write(write, &workspace, &[]).await.unwrap(), 5);
    let permission = b.permitted("file_list", &json!({ "path": "a" }));
    let message = proto::ListFilesRequest {
        permission,
        workspace_id: workspace.clone(),
    };
    let listed = b
        .client()
        .list_files(b.request(message))
        .await
        .unwrap()
        .into_inner();
    let expected = proto::FileEntry {
        path: "a/notes.txt".into(),
        size: 5,
        directory: false,
    };
    assert_eq!((listed.files, listed.truncated), (vec![expected], false));
    let read = b.permitted("file_read", &json!({ "path": "/workspace/a/notes.txt" }));
    assert_eq!(b.read(read, &workspace).await.unwrap(), b"hello");
    let expected = ["exec.started", "exec.finished"].repeat(3);
    assert_eq!(b.kinds(), expected);
}

#[tokio::test]
async fn an_upload_must_be_what_was_granted() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let content = vec![7; 1_500_000];
    let permission = b.permitted("file_write", &upload("big", &content));
    let (first, second) = content.split_at(1_000_000);
    assert_eq!(
        b.write(permission, &workspace, &[first, second]).await.unwrap(),
        1_500_000
    );
    assert_eq!(
        std::fs::read(b.directory(&workspace).join("big")).unwrap(),
        content
    );
    for sent in [&b"other"[..], b"shor", b"longer"] {
        let permission = b.permitted("file_write", &upload("f", b"right"));
        let refused = b.write(permission, &workspace, &[sent]).await.unwrap_err();
        assert_eq!(reason(&refused), Reason::CallInvalid);
    }
    let permission = b.permitted("file_write", &json!({ "path": "f", "content": "x" }));
    assert!(b.write(permission, &workspace, &[b"more"]).await.is_err());
    assert!(!b.directory(&workspace).join("f").exists());
    // Each that was begun is recorded to its end; the content in the call with more behind it was not begun.
    let outcomes: Vec<String> = b.sink.events().into_iter().map(|event| event.outcome).collect();
    assert_eq!(
        outcomes,
        ["ok", "ok", "ok", "failed", "ok", "failed", "ok", "failed"]
    );
    assert_eq!(b.spent(), 4);
}

#[tokio::test]
async fn a_model_reads_without_secrets_and_a_user_downloads_the_file_itself() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let text = b"id = AKIAQ3EGRVVGC5T7LZ2P\n\xff\xfe";
    let permission = b.permitted("file_write", &upload("f", text));
    b.write(permission, &workspace, &[text]).await.unwrap();
    let read = b.permitted("file_read", &json!({ "path": "f" }));
    let redacted = b.read(read, &workspace).await.unwrap();
    assert!(
        redacted.starts_with(b"id = [REDACTED:aws_access_key]\n"),
        "{redacted:?}"
    );
    let raw = b.permitted("file_read", &json!({ "path": "f", "raw": true }));
    assert_eq!(b.read(raw, &workspace).await.unwrap(), text);
}

#[tokio::test]
async fn what_is_not_there_or_no_file_is_refused_and_recorded() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    std::os::unix::fs::symlink("/etc/shadow", b.directory(&workspace).join("link")).unwrap();
    for (path, expected) in [("absent", Reason::FileNotFound), ("link", Reason::CallInvalid)] {
        let read = b.permitted("file_read", &json!({ "path": path }));
        assert_eq!(reason(&b.read(read, &workspace).await.unwrap_err()), expected);
    }
    let events = b.sink.events();
    assert_eq!(events.iter().filter(|event| event.outcome == "failed").count(), 2);
}

#[tokio::test]
async fn an_empty_file_is_read_as_one_empty_message() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    let write = b.permitted("file_write", &json!({ "path": "empty", "content": "" }));
    b.write(write, &workspace, &[]).await.unwrap();
    let read = b.permitted("file_read", &json!({ "path": "empty" }));
    assert_eq!(b.read(read, &workspace).await.unwrap(), b"");
}

#[tokio::test]
async fn a_workspace_is_the_sessions_own() {
    let b = Bench::new().await;
    let workspace = b.workspace().await;
    assert_eq!(b.workspace().await, workspace);
    let other = harombe_testkit::run("bob", &*b.clock);
    let open = |id: &str| proto::OpenWorkspaceRequest {
        workspace_id: id.to_owned(),
    };
    let check = async |id: &str, expected| {
        let refused = b
            .client()
            .open_workspace(b.request_of(&other, open(id)))
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), expected, "{id}");
    };
    check(&workspace, Reason::NotFound).await;
    check("x", Reason::InvalidArgument).await;
    check(
        "01890a5d-ac96-774b-bcce-b302099a8057.01890a5d-ac96-774b-bcce-b302099a8057",
        Reason::WorkspaceElsewhere,
    )
    .await;
    let broker = workspace.split_once('.').unwrap().0;
    check(
        &format!("{broker}.01890a5d-ac96-774b-bcce-b302099a8057"),
        Reason::WorkspaceLost,
    )
    .await;
    let delete = proto::DeleteWorkspaceRequest {
        workspace_id: workspace.clone(),
    };
    let refused = b
        .client()
        .delete_workspace(b.request_of(&other, delete))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), Reason::NotFound);
    assert!(b.directory(&workspace).exists());
}
