//! sandbox-broker as its proto has it, with a map for a workspace and a few words for a programming language.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use harombe_error::{Code, Failure, Reason};
use harombe_proto::sandbox::v1 as wire;
use harombe_proto::sandbox::v1::execute_response::Frame;
use harombe_proto::sandbox::v1::sandbox_service_server::{SandboxService, SandboxServiceServer};
use harombe_proto::sandbox::v1::write_file_request::Frame as WriteFrame;
use harombe_proto::types::v1::OutputStream;
use harombe_rpc::{GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, InstanceId, ServiceName, WorkspaceId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::hitl::Hitl;
use crate::world::server;

#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub(crate) executed: Arc<Mutex<Vec<String>>>,
    /// Programs that hang now.
    pub(crate) hanging: watch::Sender<usize>,
    /// Ends the programs that wait.
    pub(crate) go_on: watch::Sender<bool>,
    workspace: String,
    hitl: Hitl,
    server: Option<Server>,
}

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Counts a program that hangs for as long as somebody waits for it.
struct Hanging(watch::Sender<usize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Sandbox {
    pub(crate) fn new(pki: &TestPki, clock: Arc<dyn Clock>, hitl: Hitl) -> Self {
        let broker = InstanceId::generate(clock.as_ref());
        let mut sandbox = Self {
            files: Arc::default(),
            executed: Arc::default(),
            hanging: watch::Sender::new(0),
            go_on: watch::Sender::new(false),
            workspace: WorkspaceId::generate(broker, clock.as_ref()).to_string(),
            hitl,
            server: None,
        };
        let handlers = sandbox.clone();
        sandbox.server = Some(server(ServiceName::SandboxBroker, pki, clock, |builder| {
            builder.service(SandboxServiceServer::new(handlers))
        }));
        sandbox
    }

    pub(crate) fn channel(&self) -> GrpcChannel {
        GrpcChannel::local(self.server.as_ref().unwrap(), ServiceName::Runtime)
    }

    fn act(&self, permission: Option<wire::Permission>, workspace: &str) -> serde_json::Value {
        assert_eq!(workspace, self.workspace);
        let permission = permission.unwrap();
        self.hitl
            .redeem(&permission.grant, &permission.call)
            .args()
            .clone()
    }
}

fn text<'a>(args: &'a serde_json::Value, name: &str) -> &'a str {
    args[name].as_str().unwrap()
}

fn output(stream: OutputStream, data: impl Into<Bytes>) -> Frame {
    Frame::Output(wire::ExecutionOutput {
        stream: stream.into(),
        data: data.into(),
    })
}

#[tonic::async_trait]
impl SandboxService for Sandbox {
    type ExecuteStream = Frames<wire::ExecuteResponse>;
    type ReadFileStream = Frames<wire::ReadFileResponse>;

    async fn open_workspace(
        &self,
        request: Request<wire::OpenWorkspaceRequest>,
    ) -> Result<Response<wire::OpenWorkspaceResponse>, Status> {
        let known = request.into_inner().workspace_id;
        assert!(known.is_empty() || known == self.workspace);
        Ok(Response::new(wire::OpenWorkspaceResponse {
            workspace_id: self.workspace.clone(),
        }))
    }

    async fn delete_workspace(
        &self,
        request: Request<wire::DeleteWorkspaceRequest>,
    ) -> Result<Response<wire::DeleteWorkspaceResponse>, Status> {
        assert_eq!(request.into_inner().workspace_id, self.workspace);
        self.files.lock().clear();
        Ok(Response::new(wire::DeleteWorkspaceResponse {}))
    }

    /// `say WORDS` prints, `warn WORDS` prints to stderr and fails, `hang` hangs, `wait` waits for the test.
    async fn execute(
        &self,
        request: Request<wire::ExecuteRequest>,
    ) -> Result<Response<Self::ExecuteStream>, Status> {
        let wire::ExecuteRequest {
            permission,
            workspace_id,
        } = request.into_inner();
        let args = self.act(permission, &workspace_id);
        let code = text(&args, "code").to_owned();
        self.executed.lock().push(code.clone());
        let started = Frame::Started(wire::ExecutionStarted {
            isolation: "gvisor".into(),
        });
        let finished = |exit_code| {
            Frame::Finished(wire::ExecutionFinished {
                exit_code,
                ..wire::ExecutionFinished::default()
            })
        };
        let frames = match code.split_once(' ') {
            Some(("say", words)) => vec![
                started,
                output(OutputStream::Stdout, words.to_owned()),
                finished(0),
            ],
            Some(("warn", words)) => vec![
                started,
                output(OutputStream::Stderr, words.to_owned()),
                finished(3),
            ],
            _ => vec![started],
        };
        let (hangs, waits) = (code == "hang", code == "wait");
        let mut go_on = self.go_on.subscribe();
        let hanging = hangs.then(|| {
            self.hanging.send_modify(|count| *count += 1);
            Hanging(self.hanging.clone())
        });
        let rest = futures_util::stream::once(async move {
            if hanging.is_some() {
                std::future::pending::<()>().await;
            }
            if waits {
                go_on.wait_for(|go_on| *go_on).await.unwrap();
                return Ok(wire::ExecuteResponse {
                    frame: Some(finished(0)),
                });
            }
            Err(Status::internal("the language has three words"))
        });
        let frames = futures_util::stream::iter(frames)
            .map(|frame| Ok(wire::ExecuteResponse { frame: Some(frame) }))
            .chain(rest);
        Ok(Response::new(Box::pin(frames)))
    }

    async fn read_file(
        &self,
        request: Request<wire::ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        let wire::ReadFileRequest {
            permission,
            workspace_id,
        } = request.into_inner();
        let args = self.act(permission, &workspace_id);
        let content = self
            .files
            .lock()
            .get(text(&args, "path"))
            .cloned()
            .ok_or_else(|| {
                Failure::new(Code::NotFound, Reason::FileNotFound, "there is no such file").to_status()
            })?;
        let redactions = match args.get("raw") {
            Some(_) => BTreeMap::new(),
            None => BTreeMap::from([("test_secret".to_owned(), 1)]),
        };
        let (first, second) = content.split_at(content.len() / 2);
        let part = |data: &[u8], redactions| {
            Ok(wire::ReadFileResponse {
                data: data.to_vec().into(),
                redactions,
            })
        };
        let parts = vec![part(first, BTreeMap::new()), part(second, redactions)];
        Ok(Response::new(Box::pin(futures_util::stream::iter(parts))))
    }

    async fn write_file(
        &self,
        request: Request<Streaming<wire::WriteFileRequest>>,
    ) -> Result<Response<wire::WriteFileResponse>, Status> {
        let mut frames = request.into_inner();
        let Some(WriteFrame::Start(start)) = frames.message().await?.unwrap().frame else {
            panic!("no start")
        };
        let args = self.act(start.permission, &start.workspace_id);
        let mut content = Vec::new();
        while let Some(message) = frames.message().await? {
            let Some(WriteFrame::Data(data)) = message.frame else {
                panic!("no data")
            };
            content.extend_from_slice(&data);
        }
        match args.get("size") {
            Some(size) if size.as_u64() != Some(content.len() as u64) => {
                let short = Failure::new(Code::InvalidArgument, Reason::InvalidArgument, "the sizes differ");
                return Err(short.to_status());
            }
            Some(_) => assert_eq!(text(&args, "sha256").len(), 64),
            None => content = text(&args, "content").as_bytes().to_vec(),
        }
        let size = content.len() as u64;
        self.files.lock().insert(text(&args, "path").to_owned(), content);
        Ok(Response::new(wire::WriteFileResponse { size }))
    }

    async fn list_files(
        &self,
        request: Request<wire::ListFilesRequest>,
    ) -> Result<Response<wire::ListFilesResponse>, Status> {
        let wire::ListFilesRequest {
            permission,
            workspace_id,
        } = request.into_inner();
        self.act(permission, &workspace_id);
        let files = self.files.lock();
        let files = files.iter().map(|(path, content)| wire::FileEntry {
            path: path.clone(),
            size: content.len() as u64,
            directory: false,
        });
        Ok(Response::new(wire::ListFilesResponse {
            files: files.collect(),
            truncated: false,
        }))
    }
}
