//! What a person and their runs do with memories, in short words.

use std::time::Duration;

use harombe_error::Failure;
use harombe_identity::Token;
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_trail::Kind;
use harombe_types::{MemoryId, SystemClock};
use tonic::Request;

use crate::rig::{Rig, TestRun, answer, finished};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn new_id() -> String {
    MemoryId::generate(&SystemClock).to_string()
}

pub(crate) fn fact(text: &str) -> pb::SaveMemoryRequest {
    pb::SaveMemoryRequest {
        memory_id: new_id(),
        text: text.to_owned(),
        ..pb::SaveMemoryRequest::default()
    }
}

/// Calls a method of `PersonalMemoryService` as a person.
macro_rules! call {
    ($rig:expr, $token:expr, $method:ident, $request:expr) => {{
        let request = Request::new($request).with_token($token);
        answer($rig.as_gateway().personal.$method(request).await)
    }};
}

pub(crate) async fn save(
    rig: &Rig,
    token: &Token,
    request: pb::SaveMemoryRequest,
) -> Result<pb::Memory, Failure> {
    call!(rig, token, save_memory, request).map(|saved| saved.memory.expect("memory"))
}

pub(crate) async fn saved(rig: &Rig, token: &Token, text: &str) -> pb::Memory {
    save(rig, token, fact(text)).await.expect("saved")
}

pub(crate) async fn get(rig: &Rig, token: &Token, id: &str) -> Result<pb::Memory, Failure> {
    let request = pb::GetMemoryRequest {
        memory_id: id.to_owned(),
    };
    call!(rig, token, get_memory, request).map(|got| got.memory.expect("memory"))
}

pub(crate) async fn list(rig: &Rig, token: &Token, request: pb::ListMemoriesRequest) -> Vec<pb::Memory> {
    call!(rig, token, list_memories, request).expect("list").memories
}

pub(crate) async fn texts(rig: &Rig, token: &Token) -> Vec<String> {
    let listed = list(rig, token, pb::ListMemoriesRequest::default()).await;
    listed.into_iter().map(|memory| memory.text).collect()
}

pub(crate) async fn forget(rig: &Rig, token: &Token, id: &str) -> Result<pb::Memory, Failure> {
    let request = pb::ForgetMemoryRequest {
        memory_id: id.to_owned(),
    };
    call!(rig, token, forget_memory, request).map(|forgotten| forgotten.memory.expect("memory"))
}

pub(crate) async fn restore(rig: &Rig, token: &Token, id: &str) -> Result<pb::Memory, Failure> {
    let request = pb::RestoreMemoryRequest {
        memory_id: id.to_owned(),
    };
    call!(rig, token, restore_memory, request).map(|restored| restored.memory.expect("memory"))
}

pub(crate) async fn erase(rig: &Rig, token: &Token, id: &str) -> Result<(), Failure> {
    let request = pb::EraseMemoryRequest {
        memory_id: id.to_owned(),
    };
    call!(rig, token, erase_memory, request).map(drop)
}

pub(crate) async fn export(rig: &Rig, token: &Token) -> Vec<pb::Memory> {
    let mut stream = call!(rig, token, export_memories, pb::ExportMemoriesRequest {}).expect("export");
    let mut memories = Vec::new();
    while let Some(exported) = stream.message().await.expect("memory") {
        memories.push(exported.memory.expect("memory"));
    }
    memories
}

pub(crate) async fn import(
    rig: &Rig,
    token: &Token,
    memories: Vec<pb::Memory>,
) -> Result<(u32, u32), Failure> {
    let request = pb::ImportMemoriesRequest { memories };
    call!(rig, token, import_memories, request).map(|done| (done.imported, done.known))
}

pub(crate) async fn stats(rig: &Rig, token: &Token) -> pb::GetMemoryStatsResponse {
    call!(rig, token, get_memory_stats, pb::GetMemoryStatsRequest {}).expect("stats")
}

pub(crate) async fn remember(
    rig: &Rig,
    run: &TestRun,
    request: pb::RememberRequest,
) -> Result<pb::Memory, Failure> {
    let answered = rig.as_runtime().memory.remember(run.request(request)).await;
    answer(answered).map(|saved| saved.memory.expect("memory"))
}

pub(crate) fn of_run(text: &str) -> pb::RememberRequest {
    pb::RememberRequest {
        memory_id: new_id(),
        text: text.to_owned(),
        label: pb::TrustLabel::Model.into(),
        ..pb::RememberRequest::default()
    }
}

/// Whether a file of the service's holds the word.
pub(crate) fn on_disk(rig: &Rig, word: &str) -> bool {
    let files = std::fs::read_dir(rig.directory.path()).expect("directory");
    let mut files = files
        .map(|file| file.expect("file").path())
        .filter(|path| path.is_file());
    files.any(|path| {
        let bytes = std::fs::read(path).expect("file");
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    })
}

/// Waits for what a task of the service brings about.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came about");
}

pub(crate) fn what_happened(rig: &Rig) -> Vec<String> {
    let forgotten = rig.sink.of_kind(Kind::MemoryForgotten);
    let what = |details: &str| -> String {
        let details: serde_json::Value = serde_json::from_str(details).expect("details");
        details["what"].as_str().expect("what").to_owned()
    };
    forgotten.iter().map(|event| what(&event.details)).collect()
}

/// Ends a turn, and waits for its memories.
pub(crate) async fn turn(
    rig: &Rig,
    run: &TestRun,
    epoch: u64,
    messages: Vec<pb::Message>,
) -> Vec<pb::Memory> {
    let request = pb::FinishTurnRequest {
        epoch,
        messages,
        entries: vec![finished()],
        state: pb::RunState::Finished.into(),
        ..pb::FinishTurnRequest::default()
    };
    turn_with(rig, run, request).await
}

/// As [`turn`].
pub(crate) async fn turn_with(rig: &Rig, run: &TestRun, request: pb::FinishTurnRequest) -> Vec<pb::Memory> {
    let before = stats(rig, &rig.ann()).await.turns;
    let ended = rig
        .as_runtime()
        .conversations
        .finish_turn(run.request(request))
        .await;
    answer(ended).expect("end");
    until(async || (stats(rig, &rig.ann()).await.turns > before).then_some(())).await;
    export(rig, &rig.ann()).await
}

pub(crate) fn labels(memories: &[pb::Memory]) -> Vec<(pb::TrustLabel, &str, &str)> {
    let label = |memory: &pb::Memory| memory.provenance.as_ref().expect("provenance").label();
    memories
        .iter()
        .map(|memory| (label(memory), memory.speaker.as_str(), memory.text.as_str()))
        .collect()
}

pub(crate) use call;
