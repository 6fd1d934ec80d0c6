//! The gRPC face: decodes, calls the broker, encodes.

mod convert;
mod files;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use harombe_error::to_status;
use harombe_proto::sandbox::v1 as proto;
use harombe_proto::sandbox::v1::sandbox_service_server::SandboxService;
use harombe_rpc::{CallerExt, TaskSet};
use harombe_types::RunPrincipal;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::authority::Checked;
use crate::broker::{Announced, Broker, Frame, Ready};
use crate::domain::call::{CodeExecute, FileList, FileRead, FileWrite, ReadForm, ToolCall, WriteSource};
use crate::error::Error;
use crate::sessions::{InUse, Owner};
use convert::{execution_output, execution_started, file_entries, finished, shown};
use files::Sending;

/// How many pieces of output may wait for a slow reader before the program has to.
const FRAMES: usize = 16;
/// Most entries in a listing.
const MAX_ENTRIES: usize = 1000;

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves `SandboxService`.
#[derive(Clone)]
pub(crate) struct Service {
    broker: Arc<Broker>,
    tasks: TaskSet,
}

impl Service {
    pub(crate) fn new(broker: Arc<Broker>, tasks: TaskSet) -> Self {
        Self { broker, tasks }
    }

    /// Runs an act to its end even when the caller goes away: what was begun is recorded to its end.
    async fn detached<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Status> {
        let ended = self.tasks.spawn(act).await;
        ended
            .ok()
            .flatten()
            .unwrap_or(Err(Error::Stopped))
            .map_err(|error| to_status(&error))
    }

    /// What a permission shows, verified for this run and tool; nothing is spent yet.
    async fn checked<T: ToolCall>(
        &self,
        run: RunPrincipal,
        permission: Option<proto::Permission>,
    ) -> Result<Checked<T>, Status> {
        let shown = shown(permission).map_err(|error| to_status(&error))?;
        let checked = self.broker.check(run, shown).await;
        checked.map_err(|error| to_status(&error))
    }

    /// The file's own bytes, as they are read.
    async fn download(
        &self,
        checked: Checked<FileRead>,
        workspace: String,
    ) -> Result<Response<Responses<proto::ReadFileResponse>>, Status> {
        // The second place is for why it ended.
        let (responses, stream) = mpsc::channel(2);
        let (begun, beginning) = oneshot::channel();
        let sending = Sending {
            broker: Arc::clone(&self.broker),
            responses,
        };
        self.tasks.spawn(sending.run(checked, workspace, begun));
        answered(beginning, stream).await
    }

    /// Text without its secrets, as much as a model takes.
    async fn read_redacted(
        &self,
        checked: Checked<FileRead>,
        workspace: String,
    ) -> Result<Response<Responses<proto::ReadFileResponse>>, Status> {
        let broker = Arc::clone(&self.broker);
        let reading = async move {
            let read = |call: &FileRead, in_use: &InUse, _: u64| {
                let contents = in_use.workspace.read(&call.path, call.limit)?;
                let (data, redactions) = files::redacted(&contents);
                let details = serde_json::json!({ "bytes": contents.len(), "redactions": redactions });
                Ok(((data, redactions), details))
            };
            broker.act(checked, &workspace, read).await
        };
        let (data, redactions) = self.detached(reading).await?;
        let responses = files::in_parts(data.into(), redactions);
        Ok(Response::new(Box::pin(tokio_stream::iter(
            responses.into_iter().map(Ok),
        ))))
    }
}

#[tonic::async_trait]
impl SandboxService for Service {
    type ExecuteStream = Responses<proto::ExecuteResponse>;
    type ReadFileStream = Responses<proto::ReadFileResponse>;

    async fn open_workspace(
        &self,
        request: Request<proto::OpenWorkspaceRequest>,
    ) -> Result<Response<proto::OpenWorkspaceResponse>, Status> {
        let owner = owner(request.run()?);
        let known = request.into_inner().workspace_id;
        let sessions = Arc::clone(&self.broker.sessions);
        let opening = tokio::task::spawn_blocking(move || {
            sessions.open_workspace(&owner, Some(known.as_str()).filter(|known| !known.is_empty()))
        });
        let opened = async { opening.await.unwrap_or(Err(Error::Stopped)) };
        let id = opened.await.map_err(|error| to_status(&error))?;
        Ok(Response::new(proto::OpenWorkspaceResponse {
            workspace_id: id.to_string(),
        }))
    }

    async fn delete_workspace(
        &self,
        request: Request<proto::DeleteWorkspaceRequest>,
    ) -> Result<Response<proto::DeleteWorkspaceResponse>, Status> {
        let owner = owner(request.run()?);
        let id = request.into_inner().workspace_id;
        let sessions = Arc::clone(&self.broker.sessions);
        self.detached(async move { sessions.delete(&owner, &id).await })
            .await?;
        Ok(Response::new(proto::DeleteWorkspaceResponse {}))
    }

    async fn execute(
        &self,
        request: Request<proto::ExecuteRequest>,
    ) -> Result<Response<Self::ExecuteStream>, Status> {
        let run = request.run()?;
        let proto::ExecuteRequest {
            permission,
            workspace_id,
        } = request.into_inner();
        let checked = self.checked(run, permission).await?;
        let (responses, stream) = mpsc::channel(FRAMES);
        let (begun, beginning) = oneshot::channel();
        let execution = Execution {
            broker: Arc::clone(&self.broker),
            responses,
        };
        self.tasks.spawn(execution.run(checked, workspace_id, begun));
        answered(beginning, stream).await
    }

    async fn read_file(
        &self,
        request: Request<proto::ReadFileRequest>,
    ) -> Result<Response<Self::ReadFileStream>, Status> {
        let run = request.run()?;
        let proto::ReadFileRequest {
            permission,
            workspace_id,
        } = request.into_inner();
        let checked = self.checked::<FileRead>(run, permission).await?;
        match checked.args.form {
            ReadForm::Raw => self.download(checked, workspace_id).await,
            ReadForm::Redacted => self.read_redacted(checked, workspace_id).await,
        }
    }

    async fn write_file(
        &self,
        request: Request<Streaming<proto::WriteFileRequest>>,
    ) -> Result<Response<proto::WriteFileResponse>, Status> {
        let run = request.run()?;
        let mut frames = request.into_inner();
        let first = frames.next().await.transpose()?.and_then(|request| request.frame);
        let Some(proto::write_file_request::Frame::Start(start)) = first else {
            return Err(to_status(&Error::Frame("the first message must be the start")));
        };
        let checked = self.checked::<FileWrite>(run, start.permission).await?;
        let (broker, workspace) = (Arc::clone(&self.broker), start.workspace_id);
        let mut parts = files::parts(frames);
        let size = match checked.args.source.clone() {
            WriteSource::Upload { size, sha256 } => {
                let announced = Announced { size, sha256 };
                self.detached(async move { broker.receive(checked, announced, &workspace, parts).await })
                    .await?
            }
            WriteSource::Content(content) => {
                if let Some(part) = parts.next().await {
                    let refused = part.err().unwrap_or(Error::Upload("size"));
                    return Err(to_status(&refused));
                }
                let size = content.len() as u64;
                let write = move |call: &FileWrite, workspace: &InUse, quota: u64| {
                    workspace.write(&call.path, content.as_bytes(), quota)?;
                    Ok((size, serde_json::json!({ "bytes": size })))
                };
                self.detached(async move { broker.act(checked, &workspace, write).await })
                    .await?
            }
        };
        Ok(Response::new(proto::WriteFileResponse { size }))
    }

    async fn list_files(
        &self,
        request: Request<proto::ListFilesRequest>,
    ) -> Result<Response<proto::ListFilesResponse>, Status> {
        let run = request.run()?;
        let proto::ListFilesRequest {
            permission,
            workspace_id,
        } = request.into_inner();
        let checked = self.checked::<FileList>(run, permission).await?;
        let broker = Arc::clone(&self.broker);
        let listing = async move {
            let list = |call: &FileList, in_use: &InUse, _: u64| {
                let listing = in_use.workspace.list(&call.path, MAX_ENTRIES)?;
                let details = serde_json::json!({ "entries": listing.entries.len() });
                Ok((file_entries(&call.path, listing), details))
            };
            broker.act(checked, &workspace_id, list).await
        };
        Ok(Response::new(self.detached(listing).await?))
    }
}

/// What a task of this service sends, once it has told that it begins; else why it does not.
async fn answered<T: Send + 'static>(
    beginning: oneshot::Receiver<Result<(), Error>>,
    stream: mpsc::Receiver<Result<T, Status>>,
) -> Result<Response<Responses<T>>, Status> {
    let begun = beginning.await.unwrap_or(Err(Error::Stopped));
    begun.map_err(|error| to_status(&error))?;
    Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
}

/// One execution and the stream of its frames.
struct Execution {
    broker: Arc<Broker>,
    responses: mpsc::Sender<Result<proto::ExecuteResponse, Status>>,
}

impl Execution {
    /// Tells `begun` whether it may begin; then runs to the end, also when nobody reads any more: then the program is
    /// killed and that is recorded.
    async fn run(
        self,
        checked: Checked<CodeExecute>,
        workspace: String,
        begun: oneshot::Sender<Result<(), Error>>,
    ) {
        let ready = match self.broker.prepare(checked, &workspace).await {
            Ok(ready) => ready,
            Err(error) => {
                // The caller may have gone; then nobody needs to know.
                let _ = begun.send(Err(error));
                return;
            }
        };
        let _ = begun.send(Ok(()));
        let last = match self.stream(ready).await {
            Ok(response) => Ok(response),
            Err(error) => Err(to_status(&error)),
        };
        let _ = self.responses.send(last).await;
    }

    async fn stream(&self, ready: Ready) -> Result<proto::ExecuteResponse, Error> {
        let (frames, passing) = mpsc::channel(FRAMES);
        let running = async {
            let report = self.broker.run(ready, &frames).await;
            drop(frames);
            report
        };
        let (report, ()) = tokio::join!(running, self.encode(passing));
        report.map(finished)
    }

    /// Sends what comes. When the reader is gone it returns, and with it the receiver goes: so the broker hears of it.
    async fn encode(&self, mut frames: mpsc::Receiver<Frame>) {
        if self.responses.send(Ok(execution_started())).await.is_err() {
            return;
        }
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => frame,
                () = self.responses.closed() => return,
            };
            let Some(frame) = frame else { return };
            if self.responses.send(Ok(execution_output(frame))).await.is_err() {
                return;
            }
        }
    }
}

fn owner(run: RunPrincipal) -> Owner {
    Owner {
        tenant: run.tenant,
        subject: run.subject,
        session: run.session,
    }
}
