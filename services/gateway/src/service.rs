//! Puts the rooms together.

use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TokenMinter};
use harombe_proto::agent::v1::agent_service_server::AgentServiceServer;
use harombe_proto::audit::v1::audit_service_server::AuditServiceServer;
use harombe_proto::hitl::v1::approval_service_server::ApprovalServiceServer;
use harombe_rpc::{Door, GrpcChannel, Metrics, Server};
use harombe_trail::Trail;
use harombe_types::{Clock, InvalidName, Person, Role, ServiceName};

use crate::grpc::{AgentGrpc, ApprovalGrpc, LogGrpc};
use crate::peers::{Channels, Peers, Tokens};
use crate::{Config, SocketOwner};

/// The one tenant of the embedded profile (CONTRACTS §1).
const TENANT: &str = "local";

/// Its one person, where nobody knows a name for them.
const PERSON: &str = "owner";

/// What the gateway needs from outside.
#[derive(Clone)]
pub struct Deps {
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
    /// The gateway's own: what signs the tokens.
    pub identity: ServiceIdentity,
    pub trail: Trail,
    /// User id of this process: the owner of the socket that it will listen on.
    pub owner: u32,
    pub runtime: GrpcChannel,
    pub memory: GrpcChannel,
    pub hitl: GrpcChannel,
    pub audit: GrpcChannel,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    #[error("the one person of the embedded profile cannot be named")]
    Person(#[from] InvalidName),
    #[error("the server cannot be built")]
    Server(#[from] harombe_rpc::BuildError),
}

/// The running gateway.
pub struct Service {
    server: Server,
}

/// Builds the gateway of the embedded profile: one tenant, and one person who has every role and may approve what
/// their own runs ask for.
///
/// # Errors
/// The configuration is wrong, or the server cannot be built.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let person = Person {
        tenant: TENANT.parse()?,
        subject: config.person.as_deref().unwrap_or(PERSON).parse()?,
        roles: Role::ALL.into(),
        allow_self: true,
    };
    let tokens = Tokens {
        minter: TokenMinter::new(deps.identity),
        clock: Arc::clone(&deps.clock),
        wall_limit: Duration::from(config.wall_limit),
    };
    let channels = Channels {
        runtime: deps.runtime,
        memory: deps.memory,
        hitl: deps.hitl,
        audit: deps.audit,
    };
    let peers = Peers::new(channels, tokens);
    let owner = SocketOwner::new(deps.owner, person, deps.trail.clone(), Arc::clone(&deps.clock));
    let stack = harombe_rpc::Deps {
        door: Door::Public(Arc::new(owner)),
        clock: deps.clock,
        refusals: Arc::new(deps.trail),
        metrics: deps.metrics,
    };
    let server = Server::builder(ServiceName::Gateway, stack)
        .service(AgentServiceServer::new(AgentGrpc(peers.clone())))
        .service(ApprovalServiceServer::new(ApprovalGrpc(peers.clone())))
        .service(AuditServiceServer::new(LogGrpc(peers)))
        .health()
        .reflection()
        .build()?;
    Ok(Service { server })
}

impl Service {
    /// For [`GrpcChannel::local`] as `client`, and for listeners.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Lets calls finish, at most until the deadline. Runs go on: they are runtime's.
    pub async fn shutdown(self, deadline: Duration) {
        self.server.tasks().shutdown(deadline).await;
    }
}
