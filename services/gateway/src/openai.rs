//! The interface of `OpenAI`'s SDKs: an agent is a model, a completion is a run.
//!
//! Each request is a run in a session of its own, whose history is what the client says was said before; the header
//! `X-Harombe-Session` goes on in a session that there is. Tools, approvals and the audit log are as for any other run.

mod answer;
mod error;
mod repeat;
mod request;
mod stream;
mod text;

use std::sync::Arc;
use std::time::Duration;

use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::{
    CreateSessionRequest, GetSessionRequest, ListAgentsRequest, SendMessageRequest, SendMessageResponse,
    Session,
};
use harombe_transcode::{MessageJson, TableError, json_body};
use harombe_types::{Clock, EventId};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use serde_json::{Value, json};
use tonic::Streaming;
use tonic::body::Body;
use tonic::metadata::MetadataMap;

use crate::http::Inside;
use answer::Completion;
use error::OpenAiError;
use request::Asked;

/// What a completion comes to.
const SEND: &str = "/harombe.agent.v1.AgentService/SendMessage";
const SESSION: &str = "x-harombe-session";
/// Headers that say who calls.
const PASSED: [&str; 2] = ["authorization", "x-api-key"];

pub(crate) struct OpenAi {
    inside: Inside,
    agents: AgentServiceClient<Inside>,
    clock: Arc<dyn Clock>,
    events: MessageJson,
    /// Of silence, before a comment shows that a stream is alive.
    keep_alive: Duration,
}

impl OpenAi {
    pub(crate) fn new(
        inside: Inside,
        clock: Arc<dyn Clock>,
        keep_alive: Duration,
    ) -> Result<Self, TableError> {
        Ok(Self {
            agents: AgentServiceClient::new(inside.clone()),
            inside,
            clock,
            keep_alive,
            events: MessageJson::new(harombe_proto::DESCRIPTORS, "harombe.types.v1.RunEvent")?,
        })
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let answered = match path.strip_prefix("/v1/models") {
            Some(_) if parts.method != Method::GET => Err(OpenAiError::wrong_method(&["GET"])),
            Some("") => self.models(&parts).await,
            Some(name) => self.model(&parts, name.trim_start_matches('/')).await,
            None if parts.method != Method::POST => Err(OpenAiError::wrong_method(&["POST"])),
            None => self.complete(&parts, body).await,
        };
        answered.unwrap_or_else(OpenAiError::into_response)
    }

    async fn models(&self, parts: &Parts) -> Result<Response<Body>, OpenAiError> {
        let agents = self.list(parts).await?;
        let models: Vec<_> = agents.iter().map(|name| model(name)).collect();
        Ok(answer::json(&json!({"object": "list", "data": models})))
    }

    async fn model(&self, parts: &Parts, name: &str) -> Result<Response<Body>, OpenAiError> {
        let agents = self.list(parts).await?;
        let found = agents.iter().find(|agent| *agent == name);
        let found = found.ok_or_else(|| OpenAiError::no_such_model(name))?;
        Ok(answer::json(&model(found)))
    }

    async fn list(&self, parts: &Parts) -> Result<Vec<String>, OpenAiError> {
        let listed = self
            .agents
            .clone()
            .list_agents(call(parts, ListAgentsRequest {}))
            .await?;
        Ok(listed
            .into_inner()
            .agents
            .into_iter()
            .map(|agent| agent.name)
            .collect())
    }

    async fn complete(&self, parts: &Parts, body: Body) -> Result<Response<Body>, OpenAiError> {
        // A stranger's body is not read.
        let place = self.inside.admits(SEND, parts).await?;
        let body = json_body(&parts.headers, body).await?;
        drop(place);
        let asked = Asked::parse(&body)?;
        let session = match parts.headers.get(SESSION) {
            Some(id) => self.go_on(parts, id, &asked).await?,
            None => self.begin(parts, &asked).await?,
        };
        let fresh = !parts.headers.contains_key(SESSION);
        let (stream, include_usage) = (asked.stream, asked.include_usage);
        let completion = Completion {
            model: asked.model.clone(),
            session: session.session_id.clone(),
            created: self.clock.now().as_millis() / 1000,
            include_usage,
        };
        let events = self.send(parts, asked, &session, fresh).await?;
        let mut response = if stream {
            stream::answer(completion, events, self.events.clone(), self.keep_alive).await?
        } else {
            answer::collected(completion, events).await?
        };
        if let Ok(id) = HeaderValue::from_str(&session.session_id) {
            response.headers_mut().insert(SESSION, id);
        }
        Ok(response)
    }

    async fn begin(&self, parts: &Parts, asked: &Asked) -> Result<Session, OpenAiError> {
        let create = CreateSessionRequest {
            session_id: repeat::session_id(&parts.headers, &asked.model),
            agent: asked.model.clone(),
        };
        let created = self.agents.clone().create_session(call(parts, create)).await;
        let created = created.map_err(|status| OpenAiError::of_model(&asked.model, &status))?;
        Ok(created.into_inner().session.unwrap_or_default())
    }

    async fn go_on(&self, parts: &Parts, id: &HeaderValue, asked: &Asked) -> Result<Session, OpenAiError> {
        let session_id = id.to_str().unwrap_or_default().to_owned();
        let get = call(parts, GetSessionRequest { session_id });
        let session = self.agents.clone().get_session(get).await?.into_inner();
        let session = session.session.unwrap_or_default();
        if session.agent != asked.model {
            return Err(OpenAiError::invalid(
                "model",
                format!(
                    "the session is one of the agent {:?}; ask for that model",
                    session.agent
                ),
            ));
        }
        Ok(session)
    }

    async fn send(
        &self,
        parts: &Parts,
        asked: Asked,
        session: &Session,
        fresh: bool,
    ) -> Result<Streaming<SendMessageResponse>, OpenAiError> {
        let key = repeat::key(&parts.headers);
        let message = SendMessageRequest {
            session_id: session.session_id.clone(),
            client_message_id: key.map_or_else(|| EventId::generate(&*self.clock).to_string(), str::to_owned),
            text: asked.text,
            // A session that goes on has its own.
            history: if fresh { asked.history } else { Vec::new() },
            client_instructions: asked.instructions,
        };
        let sent = self.agents.clone().send_message(call(parts, message)).await?;
        Ok(sent.into_inner())
    }
}

/// The call of whoever sent the HTTP request.
fn call<T>(parts: &Parts, message: T) -> tonic::Request<T> {
    let mut headers = http::HeaderMap::new();
    for name in PASSED {
        if let Some(value) = parts.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    tonic::Request::from_parts(
        MetadataMap::from_headers(headers),
        parts.extensions.clone(),
        message,
    )
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "harombe"})
}
