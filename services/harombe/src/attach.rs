//! Where a command works: on a server that was named, on one that is alive on the data directory, or on one that it runs for its
//! own lifetime.

mod elsewhere;

use std::path::{Path, PathBuf};

use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::people_service_client::PeopleServiceClient;
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::{Approval, DecideRequest, ListRequest};
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::types::v1::Decision;
use harombe_rpc::GrpcChannel;
use tonic::Status;

use crate::compose::{Assembly, Config, DataDir, Embedded, ModelSource, StartError};

pub use elsewhere::Elsewhere;

/// What was named of data directory, configuration file and server.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub data: Option<PathBuf>,
    pub config: Option<PathBuf>,
    pub server: Option<Elsewhere>,
}

impl Place {
    /// The data directory: the one named, or the user's own.
    ///
    /// # Errors
    /// When none was named and there is no home directory.
    pub fn data(&self) -> Result<PathBuf, StartError> {
        match &self.data {
            Some(dir) => Ok(dir.clone()),
            None => DataDir::default_path().ok_or(StartError::NoHome),
        }
    }

    /// A command line on the same server or data directory, for a person to type.
    #[must_use]
    pub fn command(&self, rest: &str) -> String {
        match (&self.server, &self.data) {
            (Some(server), _) => format!("harombe {} {rest}", server.arguments()),
            (None, Some(data)) => format!("harombe --data {} {rest}", data.display()),
            (None, None) => format!("harombe {rest}"),
        }
    }

    /// A client of the server that was named, of whatever serves the data directory, or of the composition started here.
    ///
    /// # Errors
    /// When nothing serves the directory and the composition cannot start on it.
    pub async fn attach(&self, model: Option<ModelSource>) -> Result<Attached, StartError> {
        if let Some(server) = &self.server {
            if model.is_some() {
                return Err(StartError::ModelOfRunning);
            }
            return Ok(Attached {
                client: Client::elsewhere(server)?,
                own: None,
            });
        }
        let data = self.data()?;
        let socket = DataDir::socket_of(&data);
        if is_alive(&socket).await {
            if model.is_some() {
                return Err(StartError::ModelOfRunning);
            }
            return Ok(Attached {
                client: Client::at(&socket)?,
                own: None,
            });
        }
        let config = Config::load(self.config.as_deref())?;
        let embedded = Assembly::new(&data, config, model).start().await?;
        Ok(Attached {
            client: Client::at(&socket)?,
            own: Some(embedded),
        })
    }

    /// A client of the server that was named, or that is alive on the data directory.
    ///
    /// # Errors
    /// When there is none.
    pub async fn attach_to_running(&self) -> Result<Client, StartError> {
        if let Some(server) = &self.server {
            return Client::elsewhere(server);
        }
        let data = self.data()?;
        let socket = DataDir::socket_of(&data);
        if is_alive(&socket).await {
            Client::at(&socket)
        } else {
            Err(StartError::NotRunning(data))
        }
    }
}

async fn is_alive(socket: &Path) -> bool {
    tokio::net::UnixStream::connect(socket).await.is_ok()
}

/// A client, and the composition it talks to when that lives in this process.
pub struct Attached {
    pub client: Client,
    own: Option<Embedded>,
}

impl Attached {
    /// Ends the composition if it is ours.
    pub async fn close(self) {
        if let Some(embedded) = self.own {
            embedded.shutdown().await;
        }
    }
}

/// An ordinary client of the public door.
#[derive(Clone)]
pub struct Client {
    pub agent: AgentServiceClient<GrpcChannel>,
    pub approvals: ApprovalServiceClient<GrpcChannel>,
    pub audit: AuditServiceClient<GrpcChannel>,
    pub keys: KeyServiceClient<GrpcChannel>,
    pub memories: PersonalMemoryServiceClient<GrpcChannel>,
    pub people: PeopleServiceClient<GrpcChannel>,
}

impl Client {
    /// A client of the server on that socket; connects at the first call.
    ///
    /// # Errors
    /// When no channel can be made.
    pub fn at(socket: &Path) -> Result<Self, StartError> {
        let channel = GrpcChannel::unix(socket).map_err(StartError::Channel)?;
        Ok(Self::over(channel))
    }

    /// A client of a server that is somewhere else; connects at the first call.
    ///
    /// # Errors
    /// When the key or the CA cannot be read, or the key would travel in the clear.
    pub fn elsewhere(server: &Elsewhere) -> Result<Self, StartError> {
        let channel = GrpcChannel::public(&server.public()?).map_err(StartError::Channel)?;
        Ok(Self::over(channel))
    }

    fn over(channel: GrpcChannel) -> Self {
        Self {
            agent: AgentServiceClient::new(channel.clone()),
            approvals: ApprovalServiceClient::new(channel.clone()),
            audit: AuditServiceClient::new(channel.clone()),
            keys: KeyServiceClient::new(channel.clone()),
            memories: PersonalMemoryServiceClient::new(channel.clone()),
            people: PeopleServiceClient::new(channel),
        }
    }

    /// An approval by its id, decided or not.
    ///
    /// # Errors
    /// The server's refusal; NOT_FOUND when there is no such approval.
    pub async fn approval(&mut self, approval_id: &str) -> Result<Approval, Status> {
        let mut request = ListRequest {
            include_decided: true,
            limit: 1000,
            ..ListRequest::default()
        };
        loop {
            let listed = self.approvals.list(request.clone()).await?.into_inner();
            let mut approvals = listed.approvals.into_iter();
            if let Some(found) = approvals.find(|approval| approval.approval_id == approval_id) {
                return Ok(found);
            }
            if listed.next_page_token.is_empty() {
                break;
            }
            request.page_token = listed.next_page_token;
        }
        let message = format!("there is no approval {approval_id}; see `harombe approvals list`");
        let missing = harombe_error::Failure::new(
            harombe_error::Code::NotFound,
            harombe_error::Reason::NotFound,
            message,
        );
        Err(missing.to_status())
    }

    /// Decides an approval.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn decide(
        &mut self,
        approval_id: &str,
        decision: Decision,
        unattended: bool,
        comment: &str,
    ) -> Result<(), Status> {
        let request = DecideRequest {
            approval_id: approval_id.to_owned(),
            decision: decision as i32,
            unattended,
            comment: comment.to_owned(),
        };
        self.approvals.decide(request).await.map(drop)
    }
}
