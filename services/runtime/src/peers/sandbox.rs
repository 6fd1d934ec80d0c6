//! sandbox-broker: executions and workspace files.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use harombe_error::{Failure, Reason};
use harombe_proto::sandbox::v1 as wire;
use harombe_proto::sandbox::v1::execute_response::Frame;
use harombe_proto::sandbox::v1::sandbox_service_client::SandboxServiceClient;
use harombe_proto::sandbox::v1::write_file_request::Frame as WriteFrame;
use harombe_rpc::GrpcChannel;
use tonic::Status;

use super::with_token;

/// The client.
#[derive(Clone)]
pub(crate) struct Sandbox(SandboxServiceClient<GrpcChannel>);

/// What every act shows: who it is for, what was granted, and exactly what is to be done.
#[derive(Clone)]
pub(crate) struct Permission {
    /// The run's token.
    pub token: Arc<str>,
    /// hitl's grant.
    pub grant: String,
    /// The canonical call.
    pub call: Bytes,
}

impl Permission {
    fn on_the_wire(&self) -> Option<wire::Permission> {
        Some(wire::Permission {
            grant: self.grant.clone(),
            call: self.call.clone(),
        })
    }
}

fn at(status: &Status) -> Failure {
    super::failure(status, Reason::SandboxUnavailable)
}

impl Sandbox {
    pub(super) fn new(channel: GrpcChannel) -> Self {
        Self(SandboxServiceClient::new(channel))
    }

    /// The session's workspace on this broker; `known` is the one that it had.
    pub(crate) async fn open_workspace(&self, token: &str, known: Option<&str>) -> Result<String, Failure> {
        let message = wire::OpenWorkspaceRequest {
            workspace_id: known.unwrap_or_default().to_owned(),
        };
        let response = self
            .0
            .clone()
            .open_workspace(with_token(message, token))
            .await
            .map_err(|status| at(&status))?;
        Ok(response.into_inner().workspace_id)
    }

    /// Deletes the session's workspace.
    pub(crate) async fn delete_workspace(&self, token: &str, workspace_id: String) -> Result<(), Failure> {
        let message = wire::DeleteWorkspaceRequest { workspace_id };
        self.0
            .clone()
            .delete_workspace(with_token(message, token))
            .await
            .map_err(|status| at(&status))?;
        Ok(())
    }

    /// Runs code; dropping the stream stops it.
    pub(crate) async fn execute(
        &self,
        permission: &Permission,
        workspace_id: String,
    ) -> Result<BoxStream<'static, Result<Frame, Failure>>, Failure> {
        let message = wire::ExecuteRequest {
            permission: permission.on_the_wire(),
            workspace_id,
        };
        let request = with_token(message, &permission.token);
        let response = self
            .0
            .clone()
            .execute(request)
            .await
            .map_err(|status| at(&status))?;
        let frames = response.into_inner().map_err(|status| at(&status));
        Ok(frames.try_filter_map(async |response| Ok(response.frame)).boxed())
    }

    /// A file's bytes, and in the last item what was redacted in them.
    pub(crate) async fn read_file(
        &self,
        permission: &Permission,
        workspace_id: String,
    ) -> Result<BoxStream<'static, Result<wire::ReadFileResponse, Failure>>, Failure> {
        let message = wire::ReadFileRequest {
            permission: permission.on_the_wire(),
            workspace_id,
        };
        let request = with_token(message, &permission.token);
        let response = self
            .0
            .clone()
            .read_file(request)
            .await
            .map_err(|status| at(&status))?;
        Ok(response.into_inner().map_err(|status| at(&status)).boxed())
    }

    /// Writes a file: what the call holds, or for an upload what `content` brings. Answers with its size.
    pub(crate) async fn write_file(
        &self,
        permission: &Permission,
        workspace_id: String,
        content: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<u64, Failure> {
        let start = wire::WriteFileStart {
            permission: permission.on_the_wire(),
            workspace_id,
        };
        let first = futures_util::stream::iter([WriteFrame::Start(start)]);
        let frames = first
            .chain(content.map(WriteFrame::Data))
            .map(|frame| wire::WriteFileRequest { frame: Some(frame) });
        let request = with_token(frames, &permission.token);
        let response = self
            .0
            .clone()
            .write_file(request)
            .await
            .map_err(|status| at(&status))?;
        Ok(response.into_inner().size)
    }

    /// The workspace's files.
    pub(crate) async fn list_files(
        &self,
        permission: &Permission,
        workspace_id: String,
    ) -> Result<wire::ListFilesResponse, Failure> {
        let message = wire::ListFilesRequest {
            permission: permission.on_the_wire(),
            workspace_id,
        };
        let request = with_token(message, &permission.token);
        let response = self
            .0
            .clone()
            .list_files(request)
            .await
            .map_err(|status| at(&status))?;
        Ok(response.into_inner())
    }
}
