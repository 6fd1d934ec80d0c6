//! Other people with keys of their own and the real ids of somebody's session, run, approval, key, file and entries of
//! the log: for them there is no such thing, by whichever public method and in whichever form they ask.

mod forms;
mod public;

use bytes::Bytes;
use harombe_clients::{System, key_for};
use harombe_error::Reason;
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::upload_file_request::Frame;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, DownloadFileRequest, SendMessageRequest, SendMessageResponse,
    UploadFileRequest, UploadStart,
};
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::{QueryRequest, query_response};
use harombe_proto::google::api::http_rule::Pattern;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::{DecideRequest, WatchRequest, WatchResponse};
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::{GetMemoryRequest, SaveMemoryRequest};
use harombe_proto::types::v1::Decision;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{MemoryId, Role, SystemClock};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};
use tonic::Streaming;

use forms::{Answer, Caller, Until};
use public::{MINE, Method, Theirs, methods};

use crate::Topology;

both!(what_is_somebody_elses_is_not_there);

/// What the first tenant keeps to itself.
const FILE: &[u8] = b"the-words-in-anns-file";
const MESSAGE: &str = "Run a program about anns-own-affairs.";
const MEMORY: &str = "There are anns-own-affairs.";

/// Who asks for what is not theirs.
struct Stranger {
    caller: Caller,
    roles: Vec<String>,
    is_of_the_tenant: bool,
}

/// What somebody deserves who asks by a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deserved {
    /// Not even whether there is such a thing.
    NotThere,
    /// An answer that has nothing of theirs in it.
    NothingOfTheirs,
    /// Their key does not let them ask.
    NotAllowed,
}

impl Stranger {
    async fn new(system: &System, request: CreateKeyRequest) -> Self {
        Self {
            roles: request.roles.clone(),
            is_of_the_tenant: request.tenant.is_empty(),
            caller: Caller {
                url: system.url().to_owned(),
                key: system.new_key(request).await,
            },
        }
    }

    /// `None` when it is theirs too: an approver, auditor or admin works for their whole tenant.
    fn deserves(&self, method: &Method, named: bool) -> Option<Deserved> {
        let may_call = self.roles.iter().any(|role| method.roles.contains(role));
        if !may_call {
            return Some(Deserved::NotAllowed);
        }
        if self.is_of_the_tenant && !method.is_personal() {
            return None;
        }
        Some(match method.name() {
            // Ids are chosen by clients: of sessions each tenant's by themselves, of memories each person's. What comes of
            // that, `twin` looks at.
            "CreateSession" if !self.is_of_the_tenant => return None,
            "ImportMemories" => return None,
            // The request names the first tenant.
            "CreateKey" => Deserved::NotAllowed,
            // Their ids are filters here.
            "Query" => Deserved::NothingOfTheirs,
            _ if named => Deserved::NotThere,
            _ => Deserved::NothingOfTheirs,
        })
    }
}

fn check(method: &Method, form: &str, deserved: Deserved, answer: &Answer, marks: &[String]) {
    let expected = match deserved {
        Deserved::NotThere => Some(Reason::NotFound),
        Deserved::NotAllowed => Some(Reason::NotAllowed),
        Deserved::NothingOfTheirs => None,
    };
    let said = String::from_utf8_lossy(&answer.bytes);
    assert_eq!(answer.refused, expected, "{} by {form}: {said}", method.path());
    free_of(method, form, answer, marks);
}

fn free_of(method: &Method, form: &str, answer: &Answer, marks: &[String]) {
    for mark in marks {
        let said = String::from_utf8_lossy(&answer.bytes);
        assert!(!answer.holds(mark), "{} by {form}: {said}", method.path());
    }
}

/// A run of somebody's that waits for a decision.
struct Waiting {
    agent: AgentServiceClient<harombe_rpc::GrpcChannel>,
    events: Streaming<SendMessageResponse>,
    session: String,
    run: String,
    approval: String,
    call: String,
}

impl Waiting {
    async fn new(caller: &Caller, file: Option<&[u8]>) -> Self {
        let mut agent = AgentServiceClient::new(caller.channel());
        let created = agent.create_session(CreateSessionRequest::default()).await;
        let session = created.unwrap().into_inner().session.unwrap().session_id;
        if let Some(file) = file {
            let start = UploadStart {
                session_id: session.clone(),
                path: "private.txt".to_owned(),
                size: file.len() as u64,
                sha256: Sha256::digest(file).to_vec().into(),
            };
            let frames = [Frame::Start(start), Frame::Data(Bytes::copy_from_slice(file))];
            let frames = frames.map(|frame| UploadFileRequest { frame: Some(frame) });
            agent.upload_file(tokio_stream::iter(frames)).await.unwrap();
        }
        let message = SendMessageRequest {
            session_id: session.clone(),
            client_message_id: "1".to_owned(),
            text: MESSAGE.to_owned(),
            ..SendMessageRequest::default()
        };
        let mut events = agent.send_message(message).await.unwrap().into_inner();
        loop {
            let event = events.message().await.unwrap().unwrap().event.unwrap();
            if let Some(Event::ApprovalRequired(required)) = event.event {
                break Self {
                    agent,
                    events,
                    session,
                    run: event.run_id,
                    approval: required.approval_id,
                    call: required.call_id,
                };
            }
        }
    }

    /// Follows it to its end; answers what the tool said.
    async fn finish(&mut self) -> String {
        let mut result = String::new();
        while let Some(answer) = self.events.message().await.unwrap() {
            match answer.event.unwrap().event.unwrap() {
                Event::ToolFinished(finished) => result = finished.result,
                Event::RunFinished(_) => return result,
                Event::RunFailed(failed) => panic!("{failed:?}"),
                _ => {}
            }
        }
        panic!("the run has no end")
    }
}

async fn decide(caller: &Caller, approval: &str) {
    let request = DecideRequest {
        approval_id: approval.to_owned(),
        decision: Decision::Approved as i32,
        ..DecideRequest::default()
    };
    let mut approvals = ApprovalServiceClient::new(caller.channel());
    approvals.decide(request).await.unwrap();
}

/// The index of an entry about the run.
async fn entry_of(caller: &Caller, run: &str) -> u64 {
    let request = QueryRequest {
        run_id: run.to_owned(),
        ..QueryRequest::default()
    };
    let mut log = AuditServiceClient::new(caller.channel());
    let mut found = log.query(request).await.unwrap().into_inner();
    let first = found.message().await.unwrap().unwrap();
    let Some(query_response::Item::Entry(entry)) = first.item else {
        panic!("{first:?}")
    };
    entry.index
}

/// Has that remembered; answers its id.
async fn remembered(owner: &Caller, text: &str) -> String {
    let memory_id = MemoryId::generate(&SystemClock).to_string();
    let request = SaveMemoryRequest {
        memory_id: memory_id.clone(),
        text: text.to_owned(),
        ..SaveMemoryRequest::default()
    };
    let mut memories = PersonalMemoryServiceClient::new(owner.channel());
    memories.save_memory(request).await.unwrap();
    memory_id
}

async fn what_is_of(owner: &Caller, waiting: &Waiting) -> Theirs {
    Theirs {
        memory: remembered(owner, MEMORY).await,
        session: waiting.session.clone(),
        run: waiting.run.clone(),
        approval: waiting.approval.clone(),
        call: waiting.call.clone(),
        key: owner.key["hrb_".len()..][..12].to_owned(),
        entry: entry_of(owner, &waiting.run).await,
        path: "private.txt".to_owned(),
    }
}

/// Every way that a stranger has; answers how many calls that were.
async fn walk(methods: &[Method], stranger: &Stranger, theirs: &Theirs, marks: &[String]) -> usize {
    let caller = &stranger.caller;
    let mut calls = 0;
    for method in methods {
        let (request, named) = method.request(theirs);
        let Some(deserved) = stranger.deserves(method, named) else {
            continue;
        };
        // The one that has no end; what it shows is looked at by itself.
        if method.name() == "Watch" && deserved == Deserved::NothingOfTheirs {
            continue;
        }
        let by_grpc = caller.grpc(method, request.clone(), Until::End).await;
        check(method, "gRPC", deserved, &by_grpc, marks);
        let by_rest = caller.rest(method, request, Until::End).await;
        check(method, "REST", deserved, &by_rest, marks);
        calls += 2;
        if named {
            // What names nothing may be refused for that, but shows nothing of theirs either.
            let by_grpc = caller.grpc(method, method.empty(), Until::End).await;
            free_of(method, "gRPC", &by_grpc, marks);
            let by_rest = caller.rest(method, method.empty(), Until::End).await;
            free_of(method, "REST", &by_rest, marks);
            calls += 2;
        }
    }
    calls
}

/// Somebody may give what is their own the same id: a session in another tenant, a memory everywhere. It stays their own: they
/// see, change and erase nothing else by it. Answers how many calls that were.
async fn twin(mut methods: Vec<&Method>, stranger: &Caller, theirs: &Theirs, private: &[String]) -> usize {
    methods.sort_by_key(|method| match method.name() {
        "ImportMemories" => 0,
        "EraseMemory" => 2,
        // with all memories that are of it
        "DeleteSession" => 3,
        _ => 1,
    });
    let mut calls = 0;
    for method in methods {
        let (request, _) = method.request(theirs);
        let answer = stranger.grpc(method, request, Until::End).await;
        free_of(method, "gRPC", &answer, private);
        let expected = match method.name() {
            "WatchRun" | "GetRun" | "CancelRun" => Some(Reason::NotFound),
            _ => None,
        };
        let said = String::from_utf8_lossy(&answer.bytes);
        assert_eq!(answer.refused, expected, "{}: {said}", method.path());
        if ["DownloadFile", "GetMemory", "ListMemories", "ExportMemories"].contains(&method.name()) {
            assert!(answer.holds(MINE), "{}: {said}", method.path());
        }
        calls += 1;
    }
    calls
}

/// The requests of the walk are good ones: to whom it belongs, each that only reads is answered.
async fn answered_to_its_owner(methods: &[Method], owner: &Caller, theirs: &Theirs) -> usize {
    let mut reads = 0;
    for method in methods {
        let pattern = method.http.pattern.as_ref().unwrap();
        if !matches!(pattern, Pattern::Get(_)) {
            continue;
        }
        let (request, _) = method.request(theirs);
        let by_grpc = owner.grpc(method, request.clone(), Until::First).await;
        let by_rest = owner.rest(method, request, Until::First).await;
        assert_eq!(by_grpc.refused, None, "{}", method.path());
        assert_eq!(by_rest.refused, None, "{}", method.path());
        reads += 1;
    }
    reads
}

/// A watch in both forms. It shows what waits, then what changes: the stranger's own, and nothing else.
struct Watch {
    own: String,
    by_grpc: Streaming<WatchResponse>,
    by_rest: Incoming,
}

impl Watch {
    async fn open(methods: &[Method], caller: &Caller, own: &str) -> Self {
        let mut approvals = ApprovalServiceClient::new(caller.channel());
        let watch = methods.iter().find(|method| method.name() == "Watch").unwrap();
        let by_grpc = approvals.watch(WatchRequest::default()).await.unwrap();
        let (status, by_rest) = caller.open(watch, watch.empty()).await;
        assert!(status.is_success(), "{status}");
        Self {
            own: own.to_owned(),
            by_grpc: by_grpc.into_inner(),
            by_rest,
        }
    }

    /// The next of each is the stranger's own, decided like that.
    async fn shows(&mut self, decision: Decision) {
        let shown = self.by_grpc.message().await.unwrap().unwrap().approval.unwrap();
        assert_eq!((&shown.approval_id, shown.decision()), (&self.own, decision));
        let mut line = Vec::new();
        // A line without anything only shows that the stream is alive.
        while !line.ends_with(b"\n") || line.trim_ascii().is_empty() {
            let frame = self.by_rest.frame().await.unwrap().unwrap();
            line.extend(frame.into_data().unwrap_or_default());
        }
        let shown: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(shown["approval_id"], *self.own, "{shown}");
        assert_eq!(shown["decision"], decision.as_str_name(), "{shown}");
    }
}

#[expect(clippy::print_stdout, reason = "a walk says how far it went")]
async fn what_is_somebody_elses_is_not_there(topology: Topology) {
    let system = topology.start().await;
    let everything = Role::ALL.map(Role::as_str);
    let owner = Stranger::new(&system, key_for("ann", &everything)).await.caller;
    let methods = methods(&owner).await;
    let approver = Caller {
        url: system.url().to_owned(),
        key: system.approver.clone(),
    };
    let mut ann = Waiting::new(&owner, Some(FILE)).await;
    let theirs = what_is_of(&owner, &ann).await;
    let private = [
        "anns-own-affairs".to_owned(),
        String::from_utf8(FILE.to_vec()).unwrap(),
    ];
    let ids = [
        &theirs.session,
        &theirs.run,
        &theirs.approval,
        &theirs.call,
        &theirs.key,
        &theirs.memory,
    ];
    let marks: Vec<_> = private.iter().chain(ids).cloned().collect();

    // Somebody of the same name in another tenant, who has a run that waits there.
    let elsewhere = CreateKeyRequest {
        tenant: "elsewhere".to_owned(),
        allow_self: true,
        ..key_for("ann", &everything)
    };
    let elsewhere = Stranger::new(&system, elsewhere).await;
    let colleague = Stranger::new(&system, key_for("mallory", &everything)).await;
    let user = Stranger::new(&system, key_for("eve", &["user"])).await;
    let mut own = Waiting::new(&elsewhere.caller, None).await;

    let reads = answered_to_its_owner(&methods, &owner, &theirs).await;
    let mut calls = 0;
    for stranger in [&elsewhere, &colleague, &user] {
        calls += walk(&methods, stranger, &theirs, &marks).await;
    }
    let personal = methods.iter().filter(|method| method.is_personal()).collect();
    calls += twin(personal, &elsewhere.caller, &theirs, &private).await;
    let of_memory = methods.iter().filter(|method| method.is_of_memory()).collect();
    calls += twin(of_memory, &colleague.caller, &theirs, &private).await;
    let count = methods.len();
    println!(
        "{calls} calls of {count} methods showed strangers nothing, of which {reads} answer their owner"
    );
    assert!(
        count >= 32 && calls > 4 * count,
        "{calls} calls of {count} methods"
    );

    let mut watch = Watch::open(&methods, &elsewhere.caller, &own.approval).await;
    watch.shows(Decision::Unspecified).await;
    // Nothing of all that has disturbed whose it is.
    decide(&approver, &ann.approval).await;
    assert!(ann.finish().await.contains("42"));
    decide(&elsewhere.caller, &own.approval).await;
    watch.shows(Decision::Approved).await;
    assert!(own.finish().await.contains("42"));
    let file = DownloadFileRequest {
        session_id: theirs.session,
        path: theirs.path,
    };
    let memory = GetMemoryRequest {
        memory_id: theirs.memory,
    };
    let mut memories = PersonalMemoryServiceClient::new(owner.channel());
    let kept = memories
        .get_memory(memory)
        .await
        .unwrap()
        .into_inner()
        .memory
        .unwrap();
    assert_eq!((kept.text.as_str(), kept.hidden_at), (MEMORY, None));
    let mut parts = ann.agent.download_file(file).await.unwrap().into_inner();
    assert_eq!(parts.message().await.unwrap().unwrap().data, FILE);
    drop(watch);
    system.stop().await;
}
