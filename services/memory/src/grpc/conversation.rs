//! `ConversationService`.

use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::conversation_service_server::ConversationService;
use harombe_rpc::{CallerExt as _, RequestExt as _};
use harombe_types::{AgentName, InvalidName};
use tonic::{Request, Response, Status, async_trait};

use super::convert::{id, invalid, lease, run_state};
use crate::domain::Conversations;

pub(crate) struct ConversationGrpc(pub(crate) Conversations);

#[async_trait]
impl ConversationService for ConversationGrpc {
    async fn create_session(
        &self,
        request: Request<pb::CreateSessionRequest>,
    ) -> Result<Response<pb::CreateSessionResponse>, Status> {
        let owner = request.person()?.into();
        let request = request.into_inner();
        let agent: AgentName = request
            .agent
            .parse()
            .map_err(|error: InvalidName| invalid(error.to_string()))?;
        let session = self.0.create(&owner, id(&request.session_id)?, &agent).await?;
        Ok(Response::new(pb::CreateSessionResponse {
            session: Some(session.into()),
        }))
    }

    async fn get_session(
        &self,
        request: Request<pb::GetSessionRequest>,
    ) -> Result<Response<pb::GetSessionResponse>, Status> {
        let owner = request.person()?.into();
        let session = self.0.get(&owner, id(&request.get_ref().session_id)?).await?;
        Ok(Response::new(pb::GetSessionResponse {
            session: Some(session.into()),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let owner = request.person()?.into();
        let request = request.into_inner();
        let after = match request.after_session_id.as_str() {
            "" => None,
            after => Some(id(after)?),
        };
        let sessions = self.0.list(&owner, request.limit, after).await?;
        let sessions = sessions.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListSessionsResponse { sessions }))
    }

    async fn delete_session(
        &self,
        request: Request<pb::DeleteSessionRequest>,
    ) -> Result<Response<pb::DeleteSessionResponse>, Status> {
        let owner = request.person()?.into();
        let workspace = self.0.delete(&owner, id(&request.get_ref().session_id)?).await?;
        Ok(Response::new(pb::DeleteSessionResponse {
            workspace_id: workspace.unwrap_or_default(),
        }))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let owner = request.person()?.into();
        let request = request.into_inner();
        let page = self
            .0
            .messages(&owner, id(&request.session_id)?, request.limit)
            .await?;
        Ok(Response::new(pb::ListMessagesResponse { turns: page.turns }))
    }

    async fn begin_turn(
        &self,
        request: Request<pb::BeginTurnRequest>,
    ) -> Result<Response<pb::BeginTurnResponse>, Status> {
        let run = request.run()?;
        let token = request.token().unwrap_or_default().to_owned();
        let begun = self.0.begin(run, token, request.into_inner()).await?;
        Ok(Response::new(pb::BeginTurnResponse {
            run_id: begun.run.to_string(),
            existing: begun.lease.is_none(),
            lease: begun.lease.map(|begun| lease(begun, self.0.ttl())),
            cursor: begun.cursor,
            last_run_id: begun.last_run.unwrap_or_default(),
        }))
    }

    async fn finish_turn(
        &self,
        request: Request<pb::FinishTurnRequest>,
    ) -> Result<Response<pb::FinishTurnResponse>, Status> {
        let run = request.run()?;
        let request = request.into_inner();
        let state = run_state(request.state())?;
        let cursor = self.0.finish(run, request, state).await?;
        Ok(Response::new(pb::FinishTurnResponse { cursor }))
    }

    async fn attach_workspace(
        &self,
        request: Request<pb::AttachWorkspaceRequest>,
    ) -> Result<Response<pb::AttachWorkspaceResponse>, Status> {
        let run = request.run()?;
        let workspace = id(&request.get_ref().workspace_id)?;
        let workspace_id = self.0.attach(&run, workspace).await?;
        Ok(Response::new(pb::AttachWorkspaceResponse { workspace_id }))
    }
}
