//! A node, its peers, and what a test wants to ask of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use harombe_proto::memory::v1::RunState;
use harombe_proto::runtime::v1::runtime_service_client::RuntimeServiceClient;
use harombe_proto::runtime::v1::{RunRequest, RunResponse};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, ToolFinished};
use harombe_rpc::{Deps, GrpcChannel, LogRefusals, Metrics, RequestExt as _, Server, ServerBuilder, TaskSet};
use harombe_runtime::{AgentConfig, Config, Service};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{Clock, ManualClock, RunId, RunPrincipal, ServiceName, SessionId};
use tempfile::TempDir;
use tonic::{Request, Status, Streaming};

use crate::egress::Egress;
use crate::hitl::Hitl;
use crate::memory::{Memory, Run};
use crate::sandbox::Sandbox;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) pki: TestPki,
    pub(crate) audit: AuditSink,
    pub(crate) memory: Memory,
    pub(crate) hitl: Hitl,
    pub(crate) sandbox: Sandbox,
    pub(crate) egress: Egress,
    pub(crate) principal: RunPrincipal,
    directory: TempDir,
}

pub(crate) struct Node {
    pub(crate) service: Service,
    pub(crate) metrics: Metrics,
    pub(crate) client: RuntimeServiceClient<GrpcChannel>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = harombe_testkit::clock();
        let pki = TestPki::new(clock.clone());
        let audit = AuditSink::new(&pki, clock.clone());
        let hitl = Hitl::new(&pki, clock.clone());
        let principal = harombe_testkit::run("ann", clock.as_ref());
        Self {
            memory: Memory::new(&pki, clock.clone()),
            sandbox: Sandbox::new(&pki, clock.clone(), hitl.clone()),
            egress: Egress::new(&pki, clock.clone(), hitl.clone()),
            directory: tempfile::tempdir().unwrap(),
            clock,
            pki,
            audit,
            hitl,
            principal,
        }
    }

    /// A node whose agent plays the script, with limits as the test likes.
    pub(crate) async fn node_with(&self, script: &str, limits: impl FnOnce(&mut AgentConfig)) -> Node {
        let change = |config: &mut Config| limits(config.agents.get_mut("default").unwrap());
        self.configured(script, change).await
    }

    /// A node whose agent plays the script, configured as the test likes.
    pub(crate) async fn configured(&self, script: &str, change: impl FnOnce(&mut Config)) -> Node {
        let config = self.config(script, change);
        self.node_at(config, self.egress.channel()).await
    }

    /// A node that may search, whose agent plays the script.
    pub(crate) async fn searching(&self, script: &str) -> Node {
        let config = self.config(script, |_| {});
        self.build(config, |deps| deps.web_search = true).await
    }

    /// Of a node whose agent plays the script.
    pub(crate) fn config(&self, script: &str, change: impl FnOnce(&mut Config)) -> Config {
        let path = self.directory.path().join("script.toml");
        std::fs::write(&path, script).unwrap();
        let mut config = Config {
            claim_every: Duration::from_millis(100).into(),
            ..Config::default()
        };
        let agent = config.agents.get_mut("default").unwrap();
        agent.model = format!("scripted:{}", path.display());
        change(&mut config);
        config
    }

    /// A node with this configuration and this way out.
    pub(crate) async fn node_at(&self, config: Config, egress_proxy: GrpcChannel) -> Node {
        self.build(config, |deps| deps.egress_proxy = egress_proxy).await
    }

    /// A node that believes this clock.
    pub(crate) async fn node_by(&self, clock: Arc<dyn Clock>, config: Config) -> Node {
        self.build(config, |deps| deps.clock = clock).await
    }

    /// A node with these dependencies instead of the usual ones.
    async fn build(&self, config: Config, change: impl FnOnce(&mut harombe_runtime::Deps)) -> Node {
        let (metrics, clock) = (Metrics::new(), self.clock.clone());
        let mut deps = harombe_runtime::Deps {
            metrics: metrics.clone(),
            clock: clock.clone(),
            identity: self.pki.identity(ServiceName::Runtime),
            trail: self.audit.trail(ServiceName::Runtime, clock, &TaskSet::new()),
            memory: self.memory.channel(),
            hitl: self.hitl.channel(ServiceName::Runtime),
            sandbox_broker: self.sandbox.channel(),
            egress_proxy: self.egress.channel(),
            web_search: false,
        };
        change(&mut deps);
        let service = harombe_runtime::build(config, deps).await.unwrap();
        let channel = GrpcChannel::local(service.server(), ServiceName::Gateway);
        Node {
            service,
            metrics,
            client: RuntimeServiceClient::new(channel),
        }
    }

    pub(crate) async fn node(&self, script: &str) -> Node {
        self.node_with(script, |_| {}).await
    }

    /// The principal of a run of another session.
    pub(crate) fn elsewhere(&self) -> RunPrincipal {
        RunPrincipal {
            session: SessionId::generate(self.clock.as_ref()),
            ..self.next_run()
        }
    }

    /// The principal of a further run of the same session.
    pub(crate) fn next_run(&self) -> RunPrincipal {
        RunPrincipal {
            run: RunId::generate(self.clock.as_ref()),
            ..self.principal.clone()
        }
    }

    pub(crate) fn token(&self) -> String {
        self.pki.run_token(&self.principal)
    }
}

impl Node {
    pub(crate) async fn send(
        &self,
        token: &str,
        client_message_id: &str,
        text: &str,
    ) -> Result<Streaming<RunResponse>, Status> {
        let message = RunRequest {
            client_message_id: client_message_id.to_owned(),
            text: text.to_owned(),
            ..RunRequest::default()
        };
        self.run(token, message).await
    }

    pub(crate) async fn run(
        &self,
        token: &str,
        message: RunRequest,
    ) -> Result<Streaming<RunResponse>, Status> {
        Ok(self
            .client
            .clone()
            .run(Request::new(message).with_token(token))
            .await?
            .into_inner())
    }

    /// Sends a message and returns everything that happened in its run.
    pub(crate) async fn say(&self, world: &World, text: &str) -> Vec<RunEvent> {
        collect(self.send(&world.token(), "m1", text).await.unwrap()).await
    }
}

pub(crate) async fn collect(stream: Streaming<RunResponse>) -> Vec<RunEvent> {
    stream
        .map_ok(|response| response.event.unwrap())
        .try_collect()
        .await
        .unwrap()
}

/// The run, once no node drives it any more.
pub(crate) async fn ended_run(world: &World) -> Run {
    let ended = |run: &Run| run.state != RunState::Active;
    world
        .memory
        .wait_until(|state| state.runs.values().all(ended))
        .await;
    world.memory.the_run()
}

/// Reads on until an event fits.
pub(crate) async fn until(stream: &mut Streaming<RunResponse>, fits: impl Fn(&Event) -> bool) -> Event {
    loop {
        let response = stream.next().await.unwrap().unwrap();
        let event = response.event.unwrap().event.unwrap();
        if fits(&event) {
            return event;
        }
    }
}

/// The kinds of the journalled events, in order.
pub(crate) fn kinds(events: &[RunEvent]) -> Vec<&'static str> {
    events
        .iter()
        .filter_map(|event| kind(event.event.as_ref().unwrap()))
        .collect()
}

fn kind(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::RunStarted(_) => "started",
        Event::ContextBuilt(_) => "context",
        Event::TextDelta(_) | Event::ToolOutput(_) => return None,
        Event::TextFinished(_) => "text",
        Event::ToolCallProposed(_) => "proposed",
        Event::ApprovalRequired(_) => "approval",
        Event::ApprovalDecided(_) => "decided",
        Event::ToolStarted(_) => "tool started",
        Event::ToolFinished(_) => "tool finished",
        Event::Usage(_) => "usage",
        Event::RunFinished(_) => "finished",
        Event::RunFailed(_) => "failed",
    })
}

pub(crate) fn finished_tools(events: &[RunEvent]) -> Vec<ToolFinished> {
    let finished = events.iter().filter_map(|event| match event.event.as_ref() {
        Some(Event::ToolFinished(finished)) => Some(finished.clone()),
        _ => None,
    });
    finished.collect()
}

/// The text of the last text_finished.
pub(crate) fn answer(events: &[RunEvent]) -> String {
    let texts = events.iter().rev().find_map(|event| match event.event.as_ref() {
        Some(Event::TextFinished(finished)) => Some(finished.text.clone()),
        _ => None,
    });
    texts.unwrap_or_default()
}

/// The last event of a run.
pub(crate) fn end(events: &[RunEvent]) -> Event {
    events.last().unwrap().event.clone().unwrap()
}

/// A server of a stand-in.
pub(crate) fn server(
    name: ServiceName,
    pki: &TestPki,
    clock: Arc<dyn Clock>,
    add: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> Server {
    let deps = Deps {
        metrics: Metrics::new(),
        door: pki.door(),
        clock,
        refusals: Arc::new(LogRefusals),
    };
    add(Server::builder(name, deps)).build().unwrap()
}
