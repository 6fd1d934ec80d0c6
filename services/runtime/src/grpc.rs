//! RuntimeService on the wire: decodes, asks the node, encodes.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use harombe_proto::runtime::v1::runtime_service_server::RuntimeService;
use harombe_proto::runtime::v1::upload_file_request::Frame;
use harombe_proto::runtime::v1::{
    Agent, CallToolRequest, CallToolResponse, CancelRequest, CancelResponse, DeleteWorkspaceRequest,
    DeleteWorkspaceResponse, DownloadFileRequest, DownloadFileResponse, ListAgentsRequest,
    ListAgentsResponse, ListToolsRequest, ListToolsResponse, RunRequest, RunResponse, Tool,
    UploadFileRequest, UploadFileResponse, UploadStart,
};
use harombe_proto::types::v1::RunEvent;
use harombe_rpc::{CallerExt as _, RequestExt as _};
use harombe_types::RunPrincipal;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::error::{Error, status};
use crate::node::personal::Upload;
use crate::node::{Joined, Message, Node};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The handlers.
#[derive(Clone)]
pub(crate) struct Handlers(Node);

impl Handlers {
    /// Handlers over this node.
    pub(crate) fn new(node: Node) -> Self {
        Self(node)
    }
}

/// The principal and the token that says so, to act on its behalf.
fn on_behalf<T>(request: &Request<T>) -> Result<(RunPrincipal, String), Status> {
    let principal = request.run()?;
    let token = request.token().unwrap_or_default().to_owned();
    Ok((principal, token))
}

#[tonic::async_trait]
impl RuntimeService for Handlers {
    type RunStream = Answers<RunResponse>;
    type CallToolStream = Answers<CallToolResponse>;
    type DownloadFileStream = Answers<DownloadFileResponse>;

    async fn run(&self, request: Request<RunRequest>) -> Result<Response<Self::RunStream>, Status> {
        let (principal, token) = on_behalf(&request)?;
        let RunRequest {
            client_message_id,
            text,
            history,
            client_instructions,
        } = request.into_inner();
        let message = Message {
            principal,
            token,
            client_message_id,
            text,
            history,
            client_instructions,
        };
        let joined = self.0.begin(message).await.map_err(|error| status(&error))?;
        let events = match joined {
            Joined::Here(events) => events,
            // says which run it is and nothing else: its events are in the journal
            Joined::Elsewhere(run_id) => futures_util::stream::iter([RunEvent {
                run_id,
                ..RunEvent::default()
            }])
            .boxed(),
        };
        let answers = events.map(|event| Ok(RunResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        let (principal, token) = on_behalf(&request)?;
        let reason = request.into_inner().reason;
        let parts = self.0.parts();
        let asked = parts.peers.memory.request_cancel(&token, reason).await;
        asked.map_err(|failure| failure.to_status())?;
        // elsewhere it is noticed with the next write or renewal
        if let Some(run) = parts.hub.get(principal.run) {
            run.cancel.cancel();
        }
        Ok(Response::new(CancelResponse {}))
    }

    async fn list_tools(
        &self,
        _request: Request<ListToolsRequest>,
    ) -> Result<Response<ListToolsResponse>, Status> {
        let tools = self.0.parts().tools.tools().iter().map(|tool| Tool {
            name: tool.name.to_owned(),
            description: tool.description.to_owned(),
            parameters: tool.parameters.to_owned(),
        });
        Ok(Response::new(ListToolsResponse {
            tools: tools.collect(),
        }))
    }

    async fn list_agents(
        &self,
        _request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let agents = self.0.parts().agents.values().map(|agent| Agent {
            name: agent.name.to_string(),
            description: agent.description.clone(),
            model: agent.model_name.clone(),
            tools: agent.tools.iter().map(|tool| tool.name.to_owned()).collect(),
        });
        Ok(Response::new(ListAgentsResponse {
            agents: agents.collect(),
        }))
    }

    async fn call_tool(
        &self,
        request: Request<CallToolRequest>,
    ) -> Result<Response<Self::CallToolStream>, Status> {
        let (principal, token) = on_behalf(&request)?;
        let CallToolRequest { tool, arguments } = request.into_inner();
        let events = self.0.call_tool(principal, token, tool, arguments).await;
        let events = ReceiverStream::new(events.map_err(|error| status(&error))?);
        let answers = events.map(|event| Ok(CallToolResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<UploadFileResponse>, Status> {
        let (principal, token) = on_behalf(&request)?;
        let mut frames = request.into_inner();
        let first = frames.message().await?.and_then(|request| request.frame);
        let upload = read_start(first).ok_or_else(|| status(&Error::UploadFrames))?;
        let path = upload.path.clone();
        let size = self
            .0
            .upload(principal, token, upload, content(frames))
            .await
            .map_err(|error| status(&error))?;
        Ok(Response::new(UploadFileResponse { path, size }))
    }

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let (principal, token) = on_behalf(&request)?;
        let path = request.into_inner().path;
        let chunks = self
            .0
            .download(principal, token, path)
            .await
            .map_err(|error| status(&error))?;
        let answers = chunks
            .map_ok(|chunk| DownloadFileResponse { data: chunk.data })
            .map_err(|failure| failure.to_status());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        let (_, token) = on_behalf(&request)?;
        let workspace = request.into_inner().workspace_id;
        let deleted = self.0.peers().sandbox.delete_workspace(&token, workspace).await;
        deleted.map_err(|failure| failure.to_status())?;
        Ok(Response::new(DeleteWorkspaceResponse {}))
    }
}

fn read_start(frame: Option<Frame>) -> Option<Upload> {
    let Some(Frame::Start(UploadStart { path, size, sha256 })) = frame else {
        return None;
    };
    let sha256 = sha256.as_ref().try_into().ok()?;
    (!path.is_empty()).then_some(Upload { path, size, sha256 })
}

/// The content's chunks. A frame that does not belong, or a client that breaks off, ends them early: then size and
/// digest do not fit, and the broker refuses the file.
fn content(frames: Streaming<UploadFileRequest>) -> impl Stream<Item = Bytes> + Send + 'static {
    futures_util::stream::unfold(frames, async |mut frames| {
        let frame = frames.message().await.ok().flatten()?.frame;
        let Some(Frame::Data(data)) = frame else {
            return None;
        };
        Some((data, frames))
    })
}
