//! What a person does with tools themselves: a call, an upload, a download.

use futures_util::TryStreamExt as _;
use harombe_proto::runtime::v1::upload_file_request::Frame;
use harombe_proto::runtime::v1::{
    CallToolRequest, DeleteWorkspaceRequest, DownloadFileRequest, ListAgentsRequest, ListToolsRequest,
    UploadFileRequest, UploadStart,
};
use harombe_proto::types::v1::{Decision, RunEvent, ToolOutcome};
use harombe_rpc::RequestExt as _;
use tonic::Request;

use crate::world::{Node, World, finished_tools, kinds};

const SCRIPT: &str = "[[turn]]\ntext = 'x'";

async fn call(world: &World, node: &Node, tool: &str, arguments: &str) -> Vec<RunEvent> {
    let message = CallToolRequest {
        tool: tool.into(),
        arguments: arguments.into(),
    };
    let stream = node
        .client
        .clone()
        .call_tool(Request::new(message).with_token(world.token()))
        .await
        .unwrap();
    stream
        .into_inner()
        .map_ok(|response| response.event.unwrap())
        .try_collect()
        .await
        .unwrap()
}

async fn upload(world: &World, node: &Node, frames: Vec<Frame>) -> Result<u64, tonic::Status> {
    let frames = frames
        .into_iter()
        .map(|frame| UploadFileRequest { frame: Some(frame) });
    let request = Request::new(futures_util::stream::iter(frames)).with_token(world.token());
    Ok(node.client.clone().upload_file(request).await?.into_inner().size)
}

fn start(path: &str, size: u64) -> Frame {
    Frame::Start(UploadStart {
        path: path.into(),
        size,
        sha256: vec![7; 32].into(),
    })
}

#[tokio::test]
async fn a_persons_call_is_allowed_like_a_models_and_journalled_nowhere() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    world.hitl.decide(Decision::Approved, "");
    let node = world.node(SCRIPT).await;
    let events = call(
        &world,
        &node,
        "code_execute",
        r#"{"language":"shell","code":"say 42"}"#,
    )
    .await;
    assert_eq!(
        kinds(&events),
        ["proposed", "approval", "decided", "tool started", "tool finished"]
    );
    assert_eq!(finished_tools(&events)[0].result, "42");
    assert!(events.iter().all(|event| event.cursor == 0));
    assert!(world.memory.state.lock().runs.is_empty());

    let events = call(&world, &node, "nonsense", "{}").await;
    assert_eq!(finished_tools(&events)[0].outcome(), ToolOutcome::Invalid);
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out_unchanged() {
    let world = World::new();
    let node = world.node(SCRIPT).await;
    let data = |text: &'static str| Frame::Data(text.into());
    let size = upload(&world, &node, vec![start("a.bin", 6), data("abc"), data("def")])
        .await
        .unwrap();
    assert_eq!(size, 6);
    let message = DownloadFileRequest { path: "a.bin".into() };
    let stream = node
        .client
        .clone()
        .download_file(Request::new(message).with_token(world.token()))
        .await
        .unwrap();
    let parts: Vec<_> = stream
        .into_inner()
        .map_ok(|part| part.data)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(parts.concat(), b"abcdef");

    let calls: Vec<_> = world
        .hitl
        .state
        .lock()
        .authorized
        .iter()
        .map(|call| (call.tool().to_owned(), call.args().clone()))
        .collect();
    assert_eq!(calls[0].1["sha256"], "07".repeat(32));
    assert_eq!(calls[1].1, serde_json::json!({ "path": "a.bin", "raw": true }));

    let workspace_id = world.memory.state.lock().workspace.clone();
    let message = DeleteWorkspaceRequest { workspace_id };
    node.client
        .clone()
        .delete_workspace(Request::new(message).with_token(world.token()))
        .await
        .unwrap();
    assert!(world.sandbox.files.lock().is_empty());
}

#[tokio::test]
async fn bad_uploads_and_missing_files_are_refused_in_words() {
    let world = World::new();
    let node = world.node(SCRIPT).await;
    let data = |text: &'static str| Frame::Data(text.into());
    let no_digest = Frame::Start(UploadStart {
        path: "a".into(),
        size: 1,
        sha256: vec![7; 31].into(),
    });
    for (frames, words) in [
        (vec![], "starts with path"),
        (vec![data("abc")], "starts with path"),
        (vec![start("", 1)], "starts with path"),
        (vec![no_digest], "starts with path"),
        (vec![start("a", (64 << 20) + 1)], "too large"),
        (vec![start("a", 6), data("abc")], "sizes differ"),
        (
            vec![start("a", 6), data("abc"), start("b", 1), data("def")],
            "sizes differ",
        ),
    ] {
        let status = upload(&world, &node, frames).await.unwrap_err();
        assert!(status.message().contains(words), "{status:?} lacks {words:?}");
    }
    assert!(world.sandbox.files.lock().is_empty());

    let message = DownloadFileRequest { path: "none".into() };
    let status = node
        .client
        .clone()
        .download_file(Request::new(message).with_token(world.token()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);

    world.hitl.ask_for("file_write");
    let status = upload(&world, &node, vec![start("a", 3), data("abc")])
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert!(status.message().contains("not possible"), "{status:?}");
}

#[tokio::test]
async fn a_path_out_of_the_workspace_reaches_no_approver() {
    let world = World::new();
    world.hitl.ask_for("file_write");
    world.hitl.ask_for("file_read");
    let node = world.node(SCRIPT).await;
    let long = "a/".repeat(512) + "b";
    for (path, words) in [
        ("/etc/passwd", "relative"),
        (" /etc/passwd", "relative"),
        ("~/x", "relative"),
        ("C:\\x", "relative"),
        ("../x", ".."),
        ("a/../../x", ".."),
        ("a\\..\\x", ".."),
        ("a\0b", "NUL"),
        ("a/", "name a file"),
        (long.as_str(), "1024"),
    ] {
        let upload = upload(&world, &node, vec![start(path, 1), Frame::Data("a".into())]).await;
        let message = DownloadFileRequest { path: path.into() };
        let request = Request::new(message).with_token(world.token());
        let download = node.client.clone().download_file(request).await;
        for status in [upload.unwrap_err(), download.err().unwrap()] {
            assert_eq!(
                status.code(),
                tonic::Code::InvalidArgument,
                "{path:?}: {status:?}"
            );
            assert!(status.message().contains(words), "{path:?}: {status:?}");
        }
    }
    assert!(world.hitl.state.lock().authorized.is_empty());
}

#[tokio::test]
async fn agents_and_tools_are_listed() {
    let world = World::new();
    let node = world.node(SCRIPT).await;
    let tools = node
        .client
        .clone()
        .list_tools(ListToolsRequest {})
        .await
        .unwrap()
        .into_inner()
        .tools;
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "code_execute",
            "file_read",
            "file_write",
            "file_list",
            "web_fetch",
            "memory_search",
            "memory_save",
            "memory_forget"
        ]
    );
    let agents = node
        .client
        .clone()
        .list_agents(ListAgentsRequest {})
        .await
        .unwrap()
        .into_inner()
        .agents;
    assert_eq!(agents[0].name, "default");
    assert_eq!(agents[0].model, "scripted:script.toml");
    assert_eq!(agents[0].tools.len(), 8);
}
