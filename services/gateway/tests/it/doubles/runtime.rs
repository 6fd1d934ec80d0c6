//! Drives runs in the real memory, as a message's text says.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as memory;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::run_journal_service_client::RunJournalServiceClient;
use harombe_proto::runtime::v1 as runtime;
use harombe_proto::runtime::v1::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{
    RunEvent, RunFailed, RunFinished, RunStarted, StopReason, TextDelta, TextFinished, ToolCallProposed,
    Usage,
};
use harombe_rpc::{CallerExt as _, GrpcChannel, RequestExt as _, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, RunPrincipal, ServiceName};
use parking_lot::Mutex;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, deps, stream, unavailable};

/// Drives runs in the real memory; what it does is in the message's text.
pub(crate) struct Runtime {
    conversations: ConversationServiceClient<GrpcChannel>,
    journal: RunJournalServiceClient<GrpcChannel>,
    /// Everything that reached it, with the run that it was for.
    pub(crate) seen: Mutex<Vec<(String, RunPrincipal)>>,
    /// The messages that came, whole.
    pub(crate) requests: Mutex<Vec<runtime::RunRequest>>,
    /// The token and epoch of a run that was left open.
    pub(crate) open: Mutex<Option<(String, u64)>>,
    pub(crate) uploaded: Mutex<Vec<u8>>,
}

pub(crate) fn event(run: &str, cursor: u64, event: Event) -> RunEvent {
    RunEvent {
        run_id: run.to_owned(),
        cursor,
        time: None,
        event: Some(event),
    }
}

pub(crate) fn entry(event: RunEvent) -> memory::JournalEntry {
    memory::JournalEntry {
        event: Some(event),
        ..Default::default()
    }
}

impl Runtime {
    pub(crate) fn new(memory: GrpcChannel) -> Self {
        Self {
            conversations: ConversationServiceClient::new(memory.clone()),
            journal: RunJournalServiceClient::new(memory),
            seen: Mutex::default(),
            requests: Mutex::default(),
            open: Mutex::default(),
            uploaded: Mutex::default(),
        }
    }

    fn see(&self, what: &str, run: &RunPrincipal) {
        self.seen.lock().push((what.to_owned(), run.clone()));
    }

    pub(crate) fn last_seen(&self) -> (String, RunPrincipal) {
        self.seen.lock().last().unwrap().clone()
    }

    /// Ends the run that was left open, as another node would.
    pub(crate) async fn finish(&self, run: &str) {
        let (token, epoch) = self.open.lock().take().unwrap();
        let answer = vec![
            entry(event(
                run,
                2,
                Event::TextFinished(TextFinished {
                    text: "done".to_owned(),
                }),
            )),
            entry(event(run, 3, Event::RunFinished(RunFinished::default()))),
        ];
        let request = memory::FinishTurnRequest {
            epoch,
            entries: answer,
            state: memory::RunState::Finished.into(),
            ..Default::default()
        };
        self.conversations
            .clone()
            .finish_turn(Request::new(request).with_token(token))
            .await
            .unwrap();
    }
}

fn finished() -> RunFinished {
    RunFinished {
        stop_reason: StopReason::Answered.into(),
        usage: Some(Usage {
            input_tokens: 12,
            output_tokens: 3,
        }),
    }
}

fn failed() -> RunFailed {
    RunFailed {
        reason: Reason::UpstreamFailed.to_string(),
        message: "the model does not answer".to_owned(),
    }
}

/// What a message is refused for before anything begins; it is the node's `number`th.
fn refusal(text: &str, number: usize) -> Option<Failure> {
    match text {
        "refuse" => Some(Failure::new(
            Code::ResourceExhausted,
            Reason::ModelRefused,
            "no more",
        )),
        "unrecorded" => Some(Failure::new(
            Code::Unavailable,
            Reason::AuditUnavailable,
            "no log",
        )),
        "full" => Some(full()),
        "full everywhere" => Some(Failure {
            retry_after: Some(Duration::from_secs(30)),
            ..full()
        }),
        "full at first" if number == 1 => Some(full()),
        _ => None,
    }
}

fn full() -> Failure {
    Failure {
        retry_after: Some(Duration::from_secs(1)),
        ..Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, "no room")
    }
}

fn lease_lost() -> Status {
    Failure::new(Code::FailedPrecondition, Reason::LeaseLost, "another drives it").to_status()
}

struct RuntimeGrpc(Arc<Runtime>);

pub(crate) fn runtime(double: &Arc<Runtime>, pki: &TestPki, clock: Arc<dyn Clock>) -> GrpcChannel {
    let service = RuntimeServiceServer::new(RuntimeGrpc(Arc::clone(double)));
    let server = Server::builder(ServiceName::Runtime, deps(pki, clock))
        .service(service)
        .build()
        .unwrap();
    GrpcChannel::local(&server, ServiceName::Gateway)
}

#[tonic::async_trait]
impl RuntimeService for RuntimeGrpc {
    type RunStream = Answers<runtime::RunResponse>;
    type CallToolStream = Answers<runtime::CallToolResponse>;
    type DownloadFileStream = Answers<runtime::DownloadFileResponse>;

    async fn run(&self, request: Request<runtime::RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        let principal = request.run()?;
        let token = request.token().unwrap().to_owned();
        let request = request.into_inner();
        self.0.requests.lock().push(request.clone());
        let runtime::RunRequest {
            client_message_id,
            text,
            history,
            client_instructions,
        } = request;
        self.0.see(&text, &principal);
        if let Some(failure) = refusal(&text, self.0.seen.lock().len()) {
            return Err(failure.to_status());
        }
        let run = principal.run.to_string();
        let started = event(&run, 1, Event::RunStarted(RunStarted::default()));
        let begin = memory::BeginTurnRequest {
            client_message_id,
            text: text.clone(),
            entries: vec![entry(started.clone())],
            history,
            client_instructions,
        };
        let begun = self
            .0
            .conversations
            .clone()
            .begin_turn(Request::new(begin).with_token(&token))
            .await?;
        let begun = begun.into_inner();
        if begun.existing {
            let marker = RunEvent {
                run_id: begun.run_id,
                ..Default::default()
            };
            return Ok(stream(vec![Ok(runtime::RunResponse { event: Some(marker) })]));
        }
        *self.0.open.lock() = Some((token, begun.lease.unwrap().epoch));
        let delta = TextDelta {
            offset: 0,
            text: "do".to_owned(),
        };
        let delta = event(&run, 1, Event::TextDelta(delta));
        let mut items: Vec<_> = [started, delta]
            .into_iter()
            .map(|event| Ok(runtime::RunResponse { event: Some(event) }))
            .collect();
        match text.as_str() {
            "die" => items.push(Err(unavailable())),
            "mute" => items = vec![Err(unavailable())],
            "lease" => items.push(Err(lease_lost())),
            "fail" => items.push(Err(Status::internal("stack trace of /secret/path"))),
            "wait" => {}
            "break" => items.push(Ok(runtime::RunResponse {
                event: Some(event(&run, 2, Event::RunFailed(failed()))),
            })),
            _ => {
                if text == "tool" {
                    let proposed = Event::ToolCallProposed(ToolCallProposed {
                        tool: "code_execute".to_owned(),
                        ..Default::default()
                    });
                    items.push(Ok(runtime::RunResponse {
                        event: Some(event(&run, 1, proposed)),
                    }));
                }
                self.0.finish(&run).await;
                let text = Event::TextFinished(TextFinished {
                    text: "done".to_owned(),
                });
                let rest = [
                    event(&run, 2, text),
                    event(&run, 3, Event::RunFinished(finished())),
                ];
                items.extend(rest.map(|event| Ok(runtime::RunResponse { event: Some(event) })));
            }
        }
        Ok(stream(items))
    }

    async fn cancel(
        &self,
        request: Request<runtime::CancelRequest>,
    ) -> Result<Response<runtime::CancelResponse>, Status> {
        let principal = request.run()?;
        let token = request.token().unwrap().to_owned();
        let reason = request.into_inner().reason;
        self.0.see(&reason, &principal);
        let request = Request::new(memory::RequestCancelRequest { reason }).with_token(token);
        self.0.journal.clone().request_cancel(request).await?;
        Ok(Response::new(runtime::CancelResponse {}))
    }

    async fn list_tools(
        &self,
        _: Request<runtime::ListToolsRequest>,
    ) -> Result<Response<runtime::ListToolsResponse>, Status> {
        let tool = runtime::Tool {
            name: "code_execute".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(runtime::ListToolsResponse { tools: vec![tool] }))
    }

    async fn list_agents(
        &self,
        _: Request<runtime::ListAgentsRequest>,
    ) -> Result<Response<runtime::ListAgentsResponse>, Status> {
        let agent = |name: &str| runtime::Agent {
            name: name.to_owned(),
            ..Default::default()
        };
        Ok(Response::new(runtime::ListAgentsResponse {
            agents: vec![agent("default"), agent("analyst")],
        }))
    }

    async fn call_tool(
        &self,
        request: Request<runtime::CallToolRequest>,
    ) -> Result<Response<Self::CallToolStream>, Status> {
        let principal = request.run()?;
        self.0.see(&request.get_ref().tool, &principal);
        let event = event(
            &principal.run.to_string(),
            0,
            Event::ToolFinished(Default::default()),
        );
        Ok(stream(vec![Ok(runtime::CallToolResponse { event: Some(event) })]))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<runtime::UploadFileRequest>>,
    ) -> Result<Response<runtime::UploadFileResponse>, Status> {
        let principal = request.run()?;
        let mut frames = request.into_inner();
        let mut path = String::new();
        while let Some(frame) = frames.message().await? {
            match frame.frame.unwrap() {
                runtime::upload_file_request::Frame::Start(start) => path = start.path,
                runtime::upload_file_request::Frame::Data(data) => self.0.uploaded.lock().extend(data),
            }
            if path == "refused" {
                return Err(Failure::new(Code::ResourceExhausted, Reason::WorkspaceFull, "full").to_status());
            }
        }
        self.0.see(&path, &principal);
        let size = u64::try_from(self.0.uploaded.lock().len()).unwrap();
        Ok(Response::new(runtime::UploadFileResponse { path, size }))
    }

    async fn download_file(
        &self,
        request: Request<runtime::DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let principal = request.run()?;
        self.0.see(&request.get_ref().path, &principal);
        let part = |size: usize| {
            Ok(runtime::DownloadFileResponse {
                data: vec![b'x'; size].into(),
            })
        };
        let parts = match request.get_ref().path.as_str() {
            "endless" => (0..65).map(|_| part(1024 * 1024)).collect(),
            _ => vec![part(3), part(4)],
        };
        Ok(stream(parts))
    }

    async fn delete_workspace(
        &self,
        request: Request<runtime::DeleteWorkspaceRequest>,
    ) -> Result<Response<runtime::DeleteWorkspaceResponse>, Status> {
        let principal = request.run()?;
        self.0.see(&request.get_ref().workspace_id, &principal);
        Ok(Response::new(runtime::DeleteWorkspaceResponse {}))
    }
}
