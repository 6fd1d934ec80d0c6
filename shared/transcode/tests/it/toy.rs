//! A service of our protos that answers from memory, and requests to it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use harombe_error::{Code, Failure, Reason};
use harombe_proto::agent::v1::agent_service_server::{AgentService, AgentServiceServer};
use harombe_proto::agent::v1::upload_file_request::Frame;
use harombe_proto::agent::v1::*;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunFinished, RunStarted, TextDelta};
use harombe_transcode::{Table, Transcoder};
use http::{HeaderMap, Request as HttpRequest, Response as HttpResponse, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tonic::body::Body;
use tonic::{Request, Response, Status, Streaming};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(crate) const AGENT: &str = "harombe.agent.v1.AgentService";

/// What the toy has seen and done.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) produced: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
}

pub(crate) struct Toy(pub(crate) Arc<Seen>);

struct OnDrop(Arc<Seen>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn refused(code: Code, reason: Reason, message: &str) -> Status {
    Failure::new(code, reason, message).to_status()
}

fn not_found() -> Status {
    refused(Code::NotFound, Reason::NotFound, "no such thing")
}

fn event(cursor: u64, event: Event) -> RunEvent {
    RunEvent {
        run_id: "r".to_owned(),
        cursor,
        time: Some(prost_reflect::prost_types::Timestamp { seconds: 0, nanos: 0 }),
        event: Some(event),
    }
}

#[tonic::async_trait]
impl AgentService for Toy {
    type SendMessageStream = Answers<SendMessageResponse>;
    type WatchRunStream = Answers<WatchRunResponse>;
    type CallToolStream = Answers<CallToolResponse>;
    type DownloadFileStream = Answers<DownloadFileResponse>;

    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let authorization = request
            .metadata()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        let CreateSessionRequest { session_id, agent } = request.into_inner();
        if agent == "busy" {
            let mut failure = Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, "slowly");
            failure.retry_after = Some(Duration::from_millis(2500));
            return Err(failure.to_status());
        }
        let session = Session {
            session_id,
            agent: authorization.unwrap_or(agent),
            ..Session::default()
        };
        Ok(Response::new(CreateSessionResponse {
            session: Some(session),
        }))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        if request.get_ref().session_id == "none" {
            return Err(not_found());
        }
        let session = Session {
            session_id: request.into_inner().session_id,
            turns: 9_007_199_254_740_993,
            ..Session::default()
        };
        Ok(Response::new(GetSessionResponse {
            session: Some(session),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let ListSessionsRequest {
            limit,
            after_session_id,
        } = request.into_inner();
        let session = Session {
            session_id: after_session_id,
            turns: limit.into(),
            ..Session::default()
        };
        Ok(Response::new(ListSessionsResponse {
            sessions: vec![session],
        }))
    }

    async fn delete_session(
        &self,
        _: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        Ok(Response::new(DeleteSessionResponse {}))
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<Self::SendMessageStream>, Status> {
        let request = request.into_inner();
        let seen = Arc::clone(&self.0);
        let guard = OnDrop(Arc::clone(&seen));
        match request.text.as_str() {
            // Without end, as fast as anybody reads.
            "flood" => Ok(Response::new(Box::pin(stream::repeat(()).map(move |()| {
                let _ = &guard;
                seen.produced.fetch_add(1, Ordering::SeqCst);
                let text = "x".repeat(64 * 1024);
                Ok(SendMessageResponse {
                    event: Some(event(1, Event::TextDelta(TextDelta { offset: 0, text }))),
                })
            })))),
            "silence" => Ok(Response::new(Box::pin(stream::pending().map(move |item| {
                let _ = &guard;
                item
            })))),
            "refuse" => Err(not_found()),
            "refuse late" => Ok(Response::new(Box::pin(stream::iter([Err(not_found())])))),
            "fail" => Ok(Response::new(Box::pin(stream::iter([
                Ok(SendMessageResponse {
                    event: Some(event(1, Event::RunStarted(RunStarted::default()))),
                }),
                Err(refused(
                    Code::Unavailable,
                    Reason::MemoryUnavailable,
                    "memory is away",
                )),
            ])))),
            _ => Ok(Response::new(Box::pin(stream::iter(
                [
                    event(1, Event::RunStarted(RunStarted::default())),
                    event(
                        1,
                        Event::TextDelta(TextDelta {
                            offset: 0,
                            text: format!("{}\n{}", request.session_id, request.client_message_id),
                        }),
                    ),
                    event(2, Event::RunFinished(RunFinished::default())),
                ]
                .map(|event| Ok(SendMessageResponse { event: Some(event) })),
            )))),
        }
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let after = request.into_inner().after_cursor;
        let events = (after + 1..=3).map(|cursor| {
            Ok(WatchRunResponse {
                event: Some(event(cursor, Event::RunStarted(RunStarted::default()))),
            })
        });
        Ok(Response::new(Box::pin(stream::iter(events.collect::<Vec<_>>()))))
    }

    async fn get_run(&self, _: Request<GetRunRequest>) -> Result<Response<GetRunResponse>, Status> {
        let run = Run {
            state: RunState::Cancelled.into(),
            ..Run::default()
        };
        Ok(Response::new(GetRunResponse { run: Some(run) }))
    }

    async fn cancel_run(&self, _: Request<CancelRunRequest>) -> Result<Response<CancelRunResponse>, Status> {
        Ok(Response::new(CancelRunResponse {}))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        Err(refused(Code::Internal, Reason::Internal, "internal error; see 7"))
    }

    async fn list_tools(&self, _: Request<ListToolsRequest>) -> Result<Response<ListToolsResponse>, Status> {
        Err(refused(
            Code::Unauthenticated,
            Reason::Unauthenticated,
            "who are you?",
        ))
    }

    async fn call_tool(
        &self,
        request: Request<CallToolRequest>,
    ) -> Result<Response<Self::CallToolStream>, Status> {
        let CallToolRequest { tool, arguments, .. } = request.into_inner();
        let text = format!("{tool} {arguments}");
        let event = event(0, Event::TextDelta(TextDelta { offset: 0, text }));
        Ok(Response::new(Box::pin(stream::iter([Ok(CallToolResponse {
            event: Some(event),
        })]))))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<UploadFileResponse>, Status> {
        if !request.metadata().contains_key("authorization") {
            return Err(refused(
                Code::Unauthenticated,
                Reason::Unauthenticated,
                "who are you?",
            ));
        }
        let mut frames = request.into_inner();
        let Some(Frame::Start(start)) = frames.message().await?.and_then(|first| first.frame) else {
            return Err(refused(
                Code::InvalidArgument,
                Reason::InvalidArgument,
                "no start",
            ));
        };
        let (mut size, mut hash) = (0, <sha2::Sha256 as sha2::Digest>::new());
        while let Some(message) = frames.message().await? {
            let Some(Frame::Data(data)) = message.frame else {
                panic!("two starts")
            };
            assert!(data.len() <= 256 * 1024, "a part is small");
            size += data.len() as u64;
            sha2::Digest::update(&mut hash, &data);
        }
        assert_eq!(
            (size, &sha2::Digest::finalize(hash)[..]),
            (start.size, &start.sha256[..])
        );
        let path = format!("{}:{}", start.session_id, start.path);
        Ok(Response::new(UploadFileResponse { path, size }))
    }

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let parts = match request.into_inner().path.as_str() {
            "none" => vec![Err(not_found())],
            "empty" => Vec::new(),
            "cut" => vec![Ok(Bytes::from_static(b"half")), Err(not_found())],
            path => vec![
                Ok(Bytes::from(path.to_owned())),
                Ok(Bytes::from_static(&[0, 255])),
            ],
        };
        let parts = parts
            .into_iter()
            .map(|part| part.map(|data| DownloadFileResponse { data }));
        Ok(Response::new(Box::pin(stream::iter(parts.collect::<Vec<_>>()))))
    }
}

pub(crate) type Rest = Transcoder<AgentServiceServer<Toy>>;

pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn sender(headers: &HeaderMap) -> String {
    let shown = headers.get("authorization").and_then(|shown| shown.to_str().ok());
    shown.unwrap_or_default().to_owned()
}

pub(crate) fn rest() -> (Rest, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    static TABLE: LazyLock<Arc<Table>> =
        LazyLock::new(|| Arc::new(Table::new(harombe_proto::DESCRIPTORS, &[AGENT]).unwrap()));
    let rest = Transcoder::new(
        Arc::clone(&TABLE),
        AgentServiceServer::new(Toy(Arc::clone(&seen))),
        sender,
        KEEP_ALIVE,
    );
    (rest, seen)
}

/// A request; a body that is not empty is JSON.
pub(crate) fn request(method: &str, path: &str, body: &str) -> HttpRequest<Body> {
    let mut request = HttpRequest::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json; charset=utf-8");
    }
    request.body(Body::new(body.to_owned())).unwrap()
}

pub(crate) async fn bytes(response: HttpResponse<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, body)
}

pub(crate) async fn json(response: HttpResponse<Body>) -> (u16, Value) {
    let (status, headers, body) = bytes(response).await;
    assert_eq!(headers["content-type"], "application/json");
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// The answer to one request.
pub(crate) async fn ask(method: &str, path: &str, body: &str) -> (u16, Value) {
    let (rest, _) = rest();
    json(rest.answer(request(method, path, body)).await).await
}
