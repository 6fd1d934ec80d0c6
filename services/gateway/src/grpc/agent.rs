//! `agent.v1.AgentService`.

use futures_util::StreamExt as _;
use harombe_proto::agent::v1::agent_service_server::AgentService;
use harombe_proto::agent::v1::{
    CallToolRequest, CallToolResponse, CancelRunRequest, CancelRunResponse, CreateSessionRequest,
    CreateSessionResponse, DeleteSessionRequest, DeleteSessionResponse, DownloadFileRequest,
    DownloadFileResponse, GetRunRequest, GetRunResponse, GetSessionRequest, GetSessionResponse,
    ListAgentsRequest, ListAgentsResponse, ListSessionsRequest, ListSessionsResponse, ListToolsRequest,
    ListToolsResponse, SendMessageRequest, SendMessageResponse, UploadFileRequest, UploadFileResponse,
    WatchRunRequest, WatchRunResponse,
};
use harombe_proto::{memory::v1 as memory, runtime::v1 as runtime};
use harombe_rpc::CallerExt as _;
use harombe_types::{AgentName, Person, RunId, ServiceName, SessionId};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, convert, files, follow, forwarded};
use crate::Error;
use crate::domain::message;
use crate::peers::{MEMORY, Peers, RUNTIME, nonsense, passed_on, principal};

/// The agent that ships.
const DEFAULT_AGENT: &str = "default";

pub(crate) struct AgentGrpc(pub(crate) Peers);

impl AgentGrpc {
    async fn agents(&self) -> Result<Vec<runtime::Agent>, Status> {
        let request = Request::new(runtime::ListAgentsRequest {});
        let listed = self.0.runtime.clone().list_agents(request).await;
        Ok(listed
            .map_err(|status| passed_on(RUNTIME, &status))?
            .into_inner()
            .agents)
    }

    /// The agent that a new session is to have; one that does not exist could never answer.
    async fn agent(&self, asked: &str) -> Result<AgentName, Status> {
        let name = if asked.is_empty() { DEFAULT_AGENT } else { asked };
        let name: AgentName = name.parse().map_err(Error::Name)?;
        if name.as_str() != DEFAULT_AGENT {
            let known = self
                .agents()
                .await?
                .iter()
                .any(|agent| agent.name == name.as_str());
            if !known {
                return Err(Error::UnknownAgent(name.to_string()).into());
            }
        }
        Ok(name)
    }

    /// The workspace goes after its session: nobody can reach it any more.
    async fn delete_workspace(
        &self,
        person: &Person,
        session: &memory::Session,
        workspace_id: String,
    ) -> Result<(), Status> {
        let run = self.0.tokens.new_run(person, session)?;
        let request = self
            .0
            .tokens
            .run(runtime::DeleteWorkspaceRequest { workspace_id }, &run)?;
        let deleted = self.0.runtime.clone().delete_workspace(request).await;
        deleted.map(|_| ()).map_err(|status| passed_on(RUNTIME, &status))
    }
}

#[tonic::async_trait]
impl AgentService for AgentGrpc {
    type SendMessageStream = Answers<SendMessageResponse>;
    type WatchRunStream = Answers<WatchRunResponse>;
    type CallToolStream = Answers<CallToolResponse>;
    type DownloadFileStream = Answers<DownloadFileResponse>;

    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let person = request.person()?;
        let CreateSessionRequest { session_id, agent } = request.into_inner();
        let session_id = if session_id.is_empty() {
            SessionId::generate(&*self.0.tokens.clock)
        } else {
            session_id.parse().map_err(Error::Id)?
        };
        let agent = self.agent(&agent).await?;
        let message = memory::CreateSessionRequest {
            session_id: session_id.to_string(),
            agent: agent.to_string(),
        };
        let request = self.0.tokens.person(message, &person, ServiceName::Memory)?;
        let created = self.0.sessions.clone().create_session(request).await;
        let created = created.map_err(|status| passed_on(MEMORY, &status))?.into_inner();
        let session = created.session.ok_or_else(|| nonsense(MEMORY, &"no session"))?;
        Ok(Response::new(CreateSessionResponse {
            session: Some(convert::session(session)),
        }))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let person = request.person()?;
        let id = request.get_ref().session_id.parse().map_err(Error::Id)?;
        let session = convert::session(self.0.session(&person, id).await?);
        Ok(Response::new(GetSessionResponse {
            session: Some(session),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let person = request.person()?;
        let ListSessionsRequest {
            limit,
            after_session_id,
        } = request.into_inner();
        let message = memory::ListSessionsRequest {
            limit,
            after_session_id,
        };
        let request = self.0.tokens.person(message, &person, ServiceName::Memory)?;
        let listed = self.0.sessions.clone().list_sessions(request).await;
        let listed = listed.map_err(|status| passed_on(MEMORY, &status))?.into_inner();
        let sessions = listed.sessions.into_iter().map(convert::session).collect();
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        let person = request.person()?;
        let id = request.get_ref().session_id.parse().map_err(Error::Id)?;
        let session = self.0.session(&person, id).await?;
        // The workspace first: if either step fails, the session is still there to delete again. Memory refuses while a
        // run is active, and then the workspace must stay.
        if session.active_run_id.is_empty() && !session.workspace_id.is_empty() {
            let workspace = session.workspace_id.clone();
            self.delete_workspace(&person, &session, workspace).await?;
        }
        let message = memory::DeleteSessionRequest {
            session_id: id.to_string(),
        };
        let request = self.0.tokens.person(message, &person, ServiceName::Memory)?;
        let deleted = self.0.sessions.clone().delete_session(request).await;
        let workspace = deleted
            .map_err(|status| passed_on(MEMORY, &status))?
            .into_inner()
            .workspace_id;
        // One that was bound in the meantime.
        if workspace != session.workspace_id {
            self.delete_workspace(&person, &session, workspace).await?;
        }
        Ok(Response::new(DeleteSessionResponse {}))
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<Self::SendMessageStream>, Status> {
        let person = request.person()?;
        let SendMessageRequest {
            session_id,
            client_message_id,
            text,
        } = request.into_inner();
        let session = session_id.parse().map_err(Error::Id)?;
        message::check(&client_message_id, &text)?;
        let session = self.0.session(&person, session).await?;
        let run = self.0.tokens.new_run(&person, &session)?;
        let request = self.0.tokens.run(
            runtime::RunRequest {
                client_message_id,
                text,
            },
            &run,
        )?;
        let begun = self.0.runtime.clone().run(request).await;
        let begun = begun.map_err(|status| passed_on(RUNTIME, &status))?.into_inner();
        let events = follow::events(self.0.clone(), person, run.run.to_string(), begun);
        let answers = events.map(|event| event.map(|event| SendMessageResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let person = request.person()?;
        let WatchRunRequest { run_id, after_cursor } = request.into_inner();
        let run: RunId = run_id.parse().map_err(Error::Id)?;
        let message = memory::WatchRequest {
            run_id: run.to_string(),
            after_cursor,
        };
        let request = self.0.tokens.person(message, &person, ServiceName::Memory)?;
        let watched = self.0.journal.clone().watch(request).await;
        let watched = watched.map_err(|status| passed_on(MEMORY, &status))?.into_inner();
        Ok(forwarded(MEMORY, watched, |message| WatchRunResponse {
            event: message.event,
        }))
    }

    async fn get_run(&self, request: Request<GetRunRequest>) -> Result<Response<GetRunResponse>, Status> {
        let person = request.person()?;
        let id = request.get_ref().run_id.parse().map_err(Error::Id)?;
        let run = convert::run(self.0.run(&person, id).await?);
        Ok(Response::new(GetRunResponse { run: Some(run) }))
    }

    async fn cancel_run(
        &self,
        request: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        let person = request.person()?;
        let id = request.get_ref().run_id.parse().map_err(Error::Id)?;
        let run = self.0.run(&person, id).await?;
        let run = principal(&person, &run.agent, &run.session_id, id)?;
        let reason = format!("cancelled by {}", person.subject);
        let request = self.0.tokens.run(runtime::CancelRequest { reason }, &run)?;
        let cancelled = self.0.runtime.clone().cancel(request).await;
        cancelled.map_err(|status| passed_on(RUNTIME, &status))?;
        Ok(Response::new(CancelRunResponse {}))
    }

    async fn list_agents(
        &self,
        _: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let agents = self.agents().await?.into_iter().map(convert::agent).collect();
        Ok(Response::new(ListAgentsResponse { agents }))
    }

    async fn list_tools(&self, _: Request<ListToolsRequest>) -> Result<Response<ListToolsResponse>, Status> {
        let request = Request::new(runtime::ListToolsRequest {});
        let listed = self.0.runtime.clone().list_tools(request).await;
        let tools = listed
            .map_err(|status| passed_on(RUNTIME, &status))?
            .into_inner()
            .tools;
        Ok(Response::new(ListToolsResponse {
            tools: tools.into_iter().map(convert::tool).collect(),
        }))
    }

    async fn call_tool(
        &self,
        request: Request<CallToolRequest>,
    ) -> Result<Response<Self::CallToolStream>, Status> {
        let person = request.person()?;
        let CallToolRequest {
            session_id,
            tool,
            arguments,
        } = request.into_inner();
        let session = self
            .0
            .session(&person, session_id.parse().map_err(Error::Id)?)
            .await?;
        let run = self.0.tokens.new_run(&person, &session)?;
        let request = self
            .0
            .tokens
            .run(runtime::CallToolRequest { tool, arguments }, &run)?;
        let called = self.0.runtime.clone().call_tool(request).await;
        let called = called.map_err(|status| passed_on(RUNTIME, &status))?.into_inner();
        Ok(forwarded(RUNTIME, called, |message| CallToolResponse {
            event: message.event,
        }))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<UploadFileResponse>, Status> {
        let person = request.person()?;
        files::upload(&self.0, person, request.into_inner()).await
    }

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let person = request.person()?;
        let DownloadFileRequest { session_id, path } = request.into_inner();
        let session = self
            .0
            .session(&person, session_id.parse().map_err(Error::Id)?)
            .await?;
        let run = self.0.tokens.new_run(&person, &session)?;
        let request = self.0.tokens.run(runtime::DownloadFileRequest { path }, &run)?;
        let opened = self.0.runtime.clone().download_file(request).await;
        Ok(files::download(
            opened.map_err(|status| passed_on(RUNTIME, &status))?.into_inner(),
        ))
    }
}
