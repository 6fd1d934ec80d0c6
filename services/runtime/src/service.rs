//! Puts the service together; the only file that knows all its parts.

use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{ServiceIdentity, TokenVerifier};
use harombe_proto::runtime::v1::runtime_service_server::RuntimeServiceServer;
use harombe_rpc::{Door, GrpcChannel, Metrics, Server, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName};
use tokio::sync::Semaphore;

use crate::agents;
use crate::config::Config;
use crate::domain::tools::{BadSchema, Registry};
use crate::grpc::Handlers;
use crate::live::Hub;
use crate::metrics::Numbers;
use crate::models::scripted::ScriptError;
use crate::node::drain::Drain;
use crate::node::{Node, Parts};
use crate::peers::Peers;
use crate::room::Room;
use crate::skew::Skew;
use crate::tasks::{claim, renew};

/// Sessions that are summed up at the same time, so that runs do not wait at their models for what nobody waits for.
const SUMMING: usize = 2;

/// What the service needs from outside.
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it does, in numbers.
    pub metrics: Metrics,
    /// Its own certificate and key.
    pub identity: ServiceIdentity,
    /// The way to audit.
    pub trail: Trail,
    /// Conversations and journals.
    pub memory: GrpcChannel,
    /// Permissions.
    pub hitl: GrpcChannel,
    /// Code and files.
    pub sandbox_broker: GrpcChannel,
    /// The outside world.
    pub egress_proxy: GrpcChannel,
    /// Whether egress-proxy has an upstream that `web_search` can ask; without one the tool is not listed.
    pub web_search: bool,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration has faults.
    #[error("the configuration is not valid: {}", .0.join("; "))]
    Config(Vec<String>),
    /// A name that validation should have refused.
    #[error("an agent's name cannot be used")]
    Name(#[from] harombe_types::InvalidName),
    /// An agent's script.
    #[error("the model of the agent {agent} cannot be used")]
    Model {
        /// Whose.
        agent: String,
        /// Why.
        #[source]
        source: ScriptError,
    },
    /// What counts the tokens of an agent's model.
    #[error("the tokenizer of the agent {agent}'s model cannot be used")]
    Tokenizer {
        /// Whose.
        agent: String,
        /// Why.
        #[source]
        source: harombe_tokens::Error,
    },
    /// An agent that could take no message.
    #[error(
        "the prompt and the tools of the agent {agent} take {needed} of its {context} context_tokens; \
         give it more, fewer tools or a shorter prompt"
    )]
    Context {
        /// Whose.
        agent: String,
        /// In tokens.
        needed: u64,
        /// In tokens.
        context: u32,
    },
    /// A built-in tool.
    #[error("the built-in tools cannot be used")]
    Tools(#[from] BadSchema),
    /// The server.
    #[error("the server cannot be built")]
    Server(#[from] harombe_rpc::BuildError),
}

/// The running service.
pub struct Service {
    server: Server,
    drain: Drain,
}

/// Reads the scripts, starts looking for runs to take over, and is ready to serve.
///
/// # Errors
/// [`BuildError`] names what to change.
pub async fn build(config: Config, deps: Deps) -> Result<Service, BuildError> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(BuildError::Config(faults));
    }
    let Deps {
        clock,
        metrics,
        identity,
        trail,
        memory,
        hitl,
        sandbox_broker,
        egress_proxy,
        web_search,
    } = deps;
    let tools = Registry::built_in(web_search)?;
    let peers = Peers::new(memory, hitl, sandbox_broker, egress_proxy);
    let agents = agents::build(&config, &tools, &peers.egress)?;
    let result_limit = agents
        .values()
        .map(|agent| agent.limits.result)
        .max()
        .unwrap_or_default();
    let tokens = Arc::new(TokenVerifier::new(identity.roots().clone()));
    let numbers = Arc::new(Numbers::new(&metrics));
    let tasks = TaskSet::new();
    let drain = Drain::new(&tasks.token());
    let hub = Hub::default();
    tasks.spawn(renew::run(hub.clone(), peers.memory.clone(), drain.now().clone()));
    let node = Node::new(Parts {
        agents,
        tools,
        peers,
        trail: trail.clone(),
        clock: Arc::clone(&clock),
        hub,
        tasks: tasks.clone(),
        tokens: Arc::clone(&tokens),
        room: Room::new(
            config.max_runs as usize,
            config.max_waiting as usize,
            Arc::clone(&numbers),
        ),
        numbers: Arc::clone(&numbers),
        drain: drain.clone(),
        result_limit,
        summing: Arc::new(Semaphore::new(SUMMING)),
    });
    let deps = harombe_rpc::Deps {
        door: Door::Internal(tokens),
        clock,
        refusals: Arc::new(trail),
        metrics,
    };
    let server = Server::builder(ServiceName::Runtime, deps)
        .tasks(tasks.clone())
        .service(RuntimeServiceServer::new(Handlers::new(node.clone())))
        .health()
        .build()?;
    tasks.spawn(claim::run(
        node,
        config.claim_every.as_duration(),
        Skew::new(numbers),
        drain.leaving().clone(),
    ));
    Ok(Service { server, drain })
}

impl Service {
    /// Serves RuntimeService.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Begins nothing more, lets steps end that have begun, and gives the runs up: whoever claims them goes on from their
    /// journals. What has not ended after three quarters of the time is broken off.
    pub async fn shutdown(self, deadline: Duration) {
        self.server.set_serving(false);
        let begun = tokio::time::Instant::now();
        self.drain.run(deadline * 3 / 4).await;
        let left = deadline.saturating_sub(begun.elapsed());
        self.server.tasks().shutdown(left).await;
    }
}
