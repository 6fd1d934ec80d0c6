//! Puts the rooms together.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TokenMinter};
use harombe_proto::agent::v1::agent_service_server::AgentServiceServer;
use harombe_proto::agent::v1::key_service_server::KeyServiceServer;
use harombe_proto::agent::v1::people_service_server::PeopleServiceServer;
use harombe_proto::audit::v1::audit_service_server::AuditServiceServer;
use harombe_proto::hitl::v1::approval_service_server::ApprovalServiceServer;
use harombe_proto::memory::v1::personal_memory_service_server::PersonalMemoryServiceServer;
use harombe_rpc::{Door, GrpcChannel, Metrics, Server, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, InvalidName, Person, Role, ServiceName};

use crate::Config;
use crate::config::Limits;
use crate::domain::key::{Bearer, KeyLimits};
use crate::domain::keys::Keys;
use crate::domain::logins::Logins;
use crate::domain::quota::Quota;
use crate::domain::uses::{Defaults, Uses};
use crate::door::{FrontDoor, Owner};
use crate::grpc::{AgentGrpc, ApprovalGrpc, KeyGrpc, LogGrpc, MemoryGrpc, PeopleGrpc, Workspaces};
use crate::http::PublicDoor;
use crate::metrics::Numbers;
use crate::peers::{Channels, Peers, Tokens};
use crate::store::{PostgresStore, SqliteStore, Store};
use crate::tasks;

/// The owner of the socket, where nobody knows a name for them.
const PERSON: &str = "owner";

/// The name of the first key.
const FIRST: &str = "admin.key";

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
    /// The gateway's own folder; `gateway.db` is kept there, unless keys are kept in Postgres.
    pub data: PathBuf,
    /// The file that gets the first key of an installation.
    pub admin_key: PathBuf,
    pub runtime: GrpcChannel,
    pub memory: GrpcChannel,
    pub hitl: GrpcChannel,
    pub audit: GrpcChannel,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the configuration is wrong: {}", .0.join("; "))]
    Config(Vec<String>),
    #[error("the owner of the socket cannot be named")]
    Person(#[from] InvalidName),
    #[error(transparent)]
    Store(#[from] harombe_sql::Error),
    #[error("the server cannot be built")]
    Server(#[from] harombe_rpc::BuildError),
    #[error("the protos say of a method in HTTP what cannot be served")]
    Interface(#[from] harombe_transcode::TableError),
}

/// The running gateway.
pub struct Service {
    server: Server,
    door: PublicDoor,
    store: Arc<dyn Store>,
}

/// Opens the store and starts the background tasks. Must be called inside a tokio runtime.
///
/// # Errors
/// The configuration is wrong, the store cannot be opened, or the server cannot be built.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let owner = owner(&config)?;
    let store = open(&config, &deps).await?;
    let clock = Arc::clone(&deps.clock);
    let keys = Arc::new(Keys {
        store: Arc::clone(&store),
        trail: deps.trail.clone(),
        clock: Arc::clone(&clock),
        operator: owner.tenant.clone(),
    });
    let numbers = Numbers::new(&deps.metrics);
    let uses = Uses::new(Arc::clone(&clock), defaults(&config.limits), numbers.clone());
    let uses = Arc::new(uses);
    let tasks = TaskSet::new();
    let stop = || tasks.token();
    tasks.spawn(tasks::end_streams(Arc::clone(&keys), Arc::clone(&uses), stop()));
    tasks.spawn(tasks::settle(Arc::clone(&keys), stop()));
    let first = first_bearer(&owner);
    tasks.spawn(tasks::first_key(
        Arc::clone(&keys),
        deps.admin_key.clone(),
        first,
        stop(),
    ));
    let door = FrontDoor {
        owner: Owner {
            uid: deps.owner,
            person: owner,
        },
        keys: Arc::clone(&keys),
        uses: Arc::clone(&uses),
        logins: Logins::new(Arc::clone(&clock), config.limits.failed_logins_per_minute),
        trail: deps.trail.clone(),
        numbers: numbers.clone(),
    };
    let quota = Quota {
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
        numbers,
        sessions_per_day: config.limits.sessions_per_day,
    };
    let server = server(&config, deps, door, quota, tasks)?;
    let door = PublicDoor::new(&server, &config.public, clock)?;
    Ok(Service { server, door, store })
}

/// The owner of the socket: every role, and leave to approve what their own runs ask for.
fn owner(config: &Config) -> Result<Person, InvalidName> {
    Ok(Person {
        tenant: config.tenant.parse()?,
        subject: config.person.as_deref().unwrap_or(PERSON).parse()?,
        roles: Role::ALL.into(),
        allow_self: true,
    })
}

/// Whom the first key is for: the same person, who comes over the network and there may not approve their own runs.
fn first_bearer(owner: &Person) -> Bearer {
    Bearer {
        tenant: owner.tenant.clone(),
        name: FIRST.to_owned(),
        subject: owner.subject.clone(),
        roles: owner.roles.clone(),
        agents: BTreeSet::new(),
        allow_self: false,
        limits: KeyLimits::default(),
        expires_at: None,
    }
}

fn defaults(limits: &Limits) -> Defaults {
    Defaults {
        limits: KeyLimits {
            requests_per_second: limits.requests_per_second,
            burst: limits.burst,
            streams: limits.streams,
            messages_per_day: limits.messages_per_day,
        },
        calls: limits.calls,
        transfers: limits.transfers,
    }
}

async fn open(config: &Config, deps: &Deps) -> Result<Arc<dyn Store>, harombe_sql::Error> {
    Ok(match &config.store.postgres {
        Some(postgres) => Arc::new(PostgresStore::open(postgres).await?),
        None => Arc::new(SqliteStore::open(&deps.data.join("gateway.db")).await?),
    })
}

fn server(
    config: &Config,
    deps: Deps,
    door: FrontDoor,
    quota: Quota,
    tasks: TaskSet,
) -> Result<Server, harombe_rpc::BuildError> {
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
    let (keys, uses) = (Arc::clone(&door.keys), Arc::clone(&door.uses));
    let peers = Peers::new(channels, tokens, Arc::clone(&uses));
    let stack = harombe_rpc::Deps {
        door: Door::Public(Arc::new(door)),
        clock: deps.clock,
        refusals: Arc::new(deps.trail),
        metrics: deps.metrics,
    };
    let workspaces = Workspaces::new(peers.clone(), tasks.clone());
    let people = PeopleGrpc {
        peers: peers.clone(),
        keys: Arc::clone(&keys),
        workspaces: workspaces.clone(),
        stop: tasks.token(),
    };
    let agent = AgentGrpc {
        peers: peers.clone(),
        quota,
        workspaces,
    };
    Server::builder(ServiceName::Gateway, stack)
        .service(AgentServiceServer::new(agent))
        .service(KeyServiceServer::new(KeyGrpc { keys, uses }))
        .service(PeopleServiceServer::new(people))
        .service(ApprovalServiceServer::new(ApprovalGrpc(peers.clone())))
        .service(PersonalMemoryServiceServer::new(MemoryGrpc(peers.clone())))
        .service(AuditServiceServer::new(LogGrpc(peers)))
        .health()
        .reflection()
        .tasks(tasks)
        .build()
}

impl Service {
    /// What answers on the public port, in every form; for [`harombe_rpc::serve_public`].
    #[must_use]
    pub fn door(&self) -> PublicDoor {
        self.door.clone()
    }

    /// For [`GrpcChannel::local`] as `client`, and for listeners.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Lets calls finish, at most until the deadline, then closes the store. Runs go on: they are runtime's.
    pub async fn shutdown(self, deadline: Duration) {
        self.server.tasks().shutdown(deadline).await;
        self.store.close().await;
    }
}
