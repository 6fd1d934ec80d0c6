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
use harombe_proto::{agent::v1 as public, memory::v1 as memory, runtime::v1 as runtime};
use harombe_types::{AgentName, Person, RunId, ServiceName, SessionId};
use tonic::{Request, Response, Status, Streaming};

use super::follow::{self, Begin};
use super::visitor::{Visitor, held};
use super::{Answers, Workspaces, convert, files, forwarded};
use crate::Error;
use crate::domain::message;
use crate::domain::quota::Quota;
use crate::peers::{MEMORY, Peers, RUNTIME, nonsense, passed_on, principal};

/// The agent that ships.
const DEFAULT_AGENT: &str = "default";
/// Sessions in a page that names no number, and the most that one may have (as memory has it).
const LISTED: usize = 100;
const MOST_LISTED: u32 = 1000;

pub(crate) struct AgentGrpc {
    pub(crate) peers: Peers,
    pub(crate) quota: Quota,
    pub(crate) workspaces: Workspaces,
}

impl AgentGrpc {
    async fn agents(&self) -> Result<Vec<runtime::Agent>, Status> {
        let request = Request::new(runtime::ListAgentsRequest {});
        let listed = self.peers.runtime.clone().list_agents(request).await;
        Ok(listed
            .map_err(|status| passed_on(RUNTIME, &status))?
            .into_inner()
            .agents)
    }

    /// The agent that a new session is to have; one that does not exist could never answer.
    async fn agent(&self, visitor: &Visitor, asked: &str) -> Result<AgentName, Status> {
        let name = if asked.is_empty() { DEFAULT_AGENT } else { asked };
        let name: AgentName = name.parse().map_err(Error::Name)?;
        visitor.check_agent(name.as_str())?;
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

    /// A page of the visitor's sessions. Those of agents that they may not use are passed over, so that a short page is the
    /// last one also for them.
    async fn sessions(
        &self,
        visitor: &Visitor,
        limit: u32,
        mut after: String,
    ) -> Result<Vec<public::Session>, Status> {
        let mut sessions: Vec<public::Session> = Vec::new();
        // Whoever passes over most of them reads them in few pages.
        let page = if visitor.is_scoped() { MOST_LISTED } else { limit };
        loop {
            let message = memory::ListSessionsRequest {
                limit: page,
                after_session_id: after,
            };
            let tokens = &self.peers.tokens;
            let request = tokens.person(message, &visitor.person, ServiceName::Memory)?;
            let listed = self.peers.sessions.clone().list_sessions(request).await;
            let listed = listed.map_err(|status| passed_on(MEMORY, &status))?.into_inner();
            let page = listed.sessions;
            let last = page.last().map(|session| session.session_id.clone());
            let usable = page.into_iter().filter(|session| visitor.may_use(&session.agent));
            sessions.extend(usable.map(convert::session));
            let full = match limit {
                0 => LISTED,
                limit => usize::try_from(limit.min(MOST_LISTED)).unwrap_or(LISTED),
            };
            match last {
                Some(last) if visitor.is_scoped() && sessions.len() < full => after = last,
                _ => {
                    sessions.truncate(full);
                    return Ok(sessions);
                }
            }
        }
    }

    async fn make_session(
        &self,
        person: &Person,
        message: memory::CreateSessionRequest,
    ) -> Result<memory::Session, Status> {
        let request = self.peers.tokens.person(message, person, ServiceName::Memory)?;
        let created = self.peers.sessions.clone().create_session(request).await;
        let created = created.map_err(|status| passed_on(MEMORY, &status))?.into_inner();
        Ok(created.session.ok_or_else(|| nonsense(MEMORY, &"no session"))?)
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
        let visitor = self.peers.visitor(&request)?;
        let CreateSessionRequest { session_id, agent } = request.into_inner();
        let session_id = if session_id.is_empty() {
            SessionId::generate(&*self.peers.tokens.clock)
        } else {
            session_id.parse().map_err(Error::Id)?
        };
        let agent = self.agent(&visitor, &agent).await?;
        let message = memory::CreateSessionRequest {
            session_id: session_id.to_string(),
            agent: agent.to_string(),
        };
        let spent = match &visitor.key {
            Some(key) => self.quota.session(key).await?,
            None => None,
        };
        let session = match self.make_session(&visitor.person, message).await {
            Ok(session) => session,
            Err(status) => {
                if let Some(spent) = spent {
                    spent.give_back().await;
                }
                return Err(status);
            }
        };
        // One that was there before may have another.
        visitor.check_agent(&session.agent)?;
        Ok(Response::new(CreateSessionResponse {
            session: Some(convert::session(session)),
        }))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let id = request.get_ref().session_id.parse().map_err(Error::Id)?;
        let session = convert::session(self.peers.session(&visitor, id).await?);
        Ok(Response::new(GetSessionResponse {
            session: Some(session),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let ListSessionsRequest {
            limit,
            after_session_id,
        } = request.into_inner();
        let sessions = self.sessions(&visitor, limit, after_session_id).await?;
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let id = request.get_ref().session_id.parse().map_err(Error::Id)?;
        let session = self.peers.session(&visitor, id).await?;
        // The session first: memory refuses while a run is open and lets none begin after, so that no run ever finds its
        // workspace gone.
        let message = memory::DeleteSessionRequest {
            session_id: id.to_string(),
        };
        let request = self
            .peers
            .tokens
            .person(message, &visitor.person, ServiceName::Memory)?;
        let deleted = self.peers.sessions.clone().delete_session(request).await;
        let workspace = deleted
            .map_err(|status| passed_on(MEMORY, &status))?
            .into_inner()
            .workspace_id;
        if !workspace.is_empty() {
            self.workspaces.remove(visitor.person, session, workspace).await;
        }
        Ok(Response::new(DeleteSessionResponse {}))
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<Self::SendMessageStream>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let SendMessageRequest {
            session_id,
            client_message_id,
            text,
            history,
            client_instructions,
        } = request.into_inner();
        let session = session_id.parse().map_err(Error::Id)?;
        message::check(&client_message_id, &text)?;
        let slot = visitor.slot()?;
        let session = self.peers.session(&visitor, session).await?;
        let spent = match &visitor.key {
            Some(key) => self.quota.message(key).await?,
            None => None,
        };
        let run = self.peers.tokens.new_run(&visitor.person, &session)?;
        let message = runtime::RunRequest {
            client_message_id,
            text,
            history,
            client_instructions,
        };
        let begin = Begin { message, run, spent };
        let events = follow::begun(self.peers.clone(), visitor.person, begin).await?;
        let answers = events.map(|event| event.map(|event| SendMessageResponse { event: Some(event) }));
        Ok(held(slot, Response::new(Box::pin(answers))))
    }

    async fn watch_run(
        &self,
        request: Request<WatchRunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let WatchRunRequest { run_id, after_cursor } = request.into_inner();
        let run: RunId = run_id.parse().map_err(Error::Id)?;
        let slot = visitor.slot()?;
        if visitor.is_scoped() {
            self.peers.run(&visitor, run).await?;
        }
        let events = follow::journalled(self.peers.clone(), visitor.person, run.to_string(), after_cursor);
        let answers = events
            .await?
            .map(|event| event.map(|event| WatchRunResponse { event: Some(event) }));
        Ok(held(slot, Response::new(Box::pin(answers))))
    }

    async fn get_run(&self, request: Request<GetRunRequest>) -> Result<Response<GetRunResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let id = request.get_ref().run_id.parse().map_err(Error::Id)?;
        let run = convert::run(self.peers.run(&visitor, id).await?);
        Ok(Response::new(GetRunResponse { run: Some(run) }))
    }

    async fn cancel_run(
        &self,
        request: Request<CancelRunRequest>,
    ) -> Result<Response<CancelRunResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let id = request.get_ref().run_id.parse().map_err(Error::Id)?;
        let run = self.peers.run(&visitor, id).await?;
        let run = principal(&visitor.person, &run.agent, &run.session_id, id)?;
        let reason = format!("cancelled by {}", visitor.person.subject);
        let request = self.peers.tokens.run(runtime::CancelRequest { reason }, &run)?;
        let cancelled = self.peers.runtime.clone().cancel(request).await;
        cancelled.map_err(|status| passed_on(RUNTIME, &status))?;
        Ok(Response::new(CancelRunResponse {}))
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let agents = self.agents().await?.into_iter();
        let usable = agents.filter(|agent| visitor.may_use(&agent.name));
        Ok(Response::new(ListAgentsResponse {
            agents: usable.map(convert::agent).collect(),
        }))
    }

    async fn list_tools(&self, _: Request<ListToolsRequest>) -> Result<Response<ListToolsResponse>, Status> {
        let request = Request::new(runtime::ListToolsRequest {});
        let listed = self.peers.runtime.clone().list_tools(request).await;
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
        let visitor = self.peers.visitor(&request)?;
        let CallToolRequest {
            session_id,
            tool,
            arguments,
        } = request.into_inner();
        let slot = visitor.slot()?;
        let session = self
            .peers
            .session(&visitor, session_id.parse().map_err(Error::Id)?)
            .await?;
        let run = self.peers.tokens.new_run(&visitor.person, &session)?;
        let request = self
            .peers
            .tokens
            .run(runtime::CallToolRequest { tool, arguments }, &run)?;
        let called = self.peers.runtime.clone().call_tool(request).await;
        let called = called.map_err(|status| passed_on(RUNTIME, &status))?.into_inner();
        let answers = forwarded(RUNTIME, called, |message| CallToolResponse {
            event: message.event,
        });
        Ok(held(slot, answers))
    }

    async fn upload_file(
        &self,
        request: Request<Streaming<UploadFileRequest>>,
    ) -> Result<Response<UploadFileResponse>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let _slot = visitor.transfer()?;
        files::upload(&self.peers, &visitor, request.into_inner()).await
    }

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let visitor = self.peers.visitor(&request)?;
        let DownloadFileRequest { session_id, path } = request.into_inner();
        let slot = visitor.transfer()?;
        let session = self
            .peers
            .session(&visitor, session_id.parse().map_err(Error::Id)?)
            .await?;
        let run = self.peers.tokens.new_run(&visitor.person, &session)?;
        let request = self
            .peers
            .tokens
            .run(runtime::DownloadFileRequest { path }, &run)?;
        let opened = self.peers.runtime.clone().download_file(request).await;
        let opened = opened.map_err(|status| passed_on(RUNTIME, &status))?.into_inner();
        Ok(held(slot, files::download(opened)))
    }
}
