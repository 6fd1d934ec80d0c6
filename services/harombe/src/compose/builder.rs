//! One service at a time, with what it needs and the channels that it may use: the same whether the others are in this process
//! or elsewhere.

use std::sync::Arc;

use harombe_egress_proxy::Edges;
use harombe_identity::ServiceIdentity;
use harombe_rpc::{GrpcChannel, Metrics, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName};

use super::part::Part;
use super::peers::Peers;
use super::pki::Pki;
use super::{Config, DataDir, StartError, Wire};

/// What every service is built from.
pub(super) struct Builder {
    pub(super) data: DataDir,
    pub(super) clock: Arc<dyn Clock>,
    /// One page of numbers for all services of the process.
    pub(super) metrics: Metrics,
    pub(super) pki: Pki,
    /// Where the others are.
    pub(super) peers: Peers,
    pub(super) wire: Arc<dyn Wire>,
    /// The world outside; the machine's own when there is none.
    pub(super) edges: Option<Edges>,
    /// Where trails are written: they end after the services that write them.
    pub(super) trails: TaskSet,
}

impl Builder {
    /// Builds a service by its section of the configuration.
    pub(super) async fn build(&mut self, service: ServiceName, config: &Config) -> Result<Part, StartError> {
        match service {
            ServiceName::Audit => self.audit(config).await.map(Part::Audit),
            ServiceName::Hitl => self.hitl(config).await.map(Part::Hitl),
            ServiceName::EgressProxy => self.egress_proxy(config).await.map(Part::EgressProxy),
            ServiceName::SandboxBroker => self.sandbox_broker(config).await.map(Part::SandboxBroker),
            ServiceName::Memory => self.memory(config).await.map(Part::Memory),
            ServiceName::Runtime => self.runtime(config).await.map(Part::Runtime),
            ServiceName::Gateway => self.gateway(config).await.map(Part::Gateway),
            ServiceName::Client => Err(StartError::Unplaced(service)),
        }
    }

    async fn audit(&self, config: &Config) -> Result<harombe_audit::Service, StartError> {
        let name = ServiceName::Audit;
        let deps = harombe_audit::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            data: self.data.service(name)?,
        };
        harombe_audit::build(config.audit.clone(), deps)
            .await
            .map_err(StartError::of(name))
    }

    async fn hitl(&self, config: &Config) -> Result<harombe_hitl::Service, StartError> {
        let name = ServiceName::Hitl;
        let deps = harombe_hitl::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            trail: self.trail(name, config)?,
            data: self.data.service(name)?,
        };
        harombe_hitl::build(config.hitl.clone(), deps)
            .await
            .map_err(StartError::of(name))
    }

    async fn egress_proxy(&mut self, config: &Config) -> Result<harombe_egress_proxy::Service, StartError> {
        let name = ServiceName::EgressProxy;
        let deps = harombe_egress_proxy::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            trail: self.trail(name, config)?,
            hitl: self.channel(name, ServiceName::Hitl)?,
            edges: self.edges.take().unwrap_or_else(Edges::system),
            secrets: harombe_secrets::open(&config.secrets, self.data.path())
                .map_err(StartError::of(name))?,
        };
        harombe_egress_proxy::build(config.egress_proxy.clone(), deps)
            .await
            .map_err(StartError::of(name))
    }

    async fn sandbox_broker(&self, config: &Config) -> Result<harombe_sandbox_broker::Service, StartError> {
        let name = ServiceName::SandboxBroker;
        let deps = harombe_sandbox_broker::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            trail: self.trail(name, config)?,
            data: self.data.service(name)?,
            hitl: self.channel(name, ServiceName::Hitl)?,
        };
        harombe_sandbox_broker::build(config.sandbox_broker.clone(), deps)
            .await
            .map_err(StartError::of(name))
    }

    async fn memory(&self, config: &Config) -> Result<harombe_memory::Service, StartError> {
        let name = ServiceName::Memory;
        let deps = harombe_memory::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            trail: self.trail(name, config)?,
            data: self.data.service(name)?,
            models: self.data.path().join("models"),
            egress_proxy: self.channel(name, ServiceName::EgressProxy)?,
        };
        harombe_memory::build(config.memory.clone(), deps)
            .await
            .map_err(StartError::of(name))
    }

    async fn runtime(&self, config: &Config) -> Result<harombe_runtime::Service, StartError> {
        let name = ServiceName::Runtime;
        let deps = harombe_runtime::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            trail: self.trail(name, config)?,
            memory: self.channel(name, ServiceName::Memory)?,
            hitl: self.channel(name, ServiceName::Hitl)?,
            sandbox_broker: self.channel(name, ServiceName::SandboxBroker)?,
            egress_proxy: self.channel(name, ServiceName::EgressProxy)?,
            web_search: config.egress_proxy.search_configured(),
        };
        harombe_runtime::build(config.runtime.clone(), deps)
            .await
            .map_err(StartError::of(name))
    }

    async fn gateway(&self, config: &Config) -> Result<harombe_gateway::Service, StartError> {
        let name = ServiceName::Gateway;
        let mut own = config.gateway.clone();
        own.person = own.person.or_else(super::owner::name);
        let deps = harombe_gateway::Deps {
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            identity: self.identity(name)?,
            trail: self.trail(name, config)?,
            owner: rustix::process::geteuid().as_raw(),
            data: self.data.service(name)?,
            admin_key: self.data.path().join("admin.key"),
            runtime: self.channel(name, ServiceName::Runtime)?,
            memory: self.channel(name, ServiceName::Memory)?,
            hitl: self.channel(name, ServiceName::Hitl)?,
            audit: self.channel(name, ServiceName::Audit)?,
        };
        harombe_gateway::build(own, deps)
            .await
            .map_err(StartError::of(name))
    }

    pub(super) fn identity(&self, service: ServiceName) -> Result<ServiceIdentity, StartError> {
        self.pki.identity(service)
    }

    fn channel(&self, from: ServiceName, to: ServiceName) -> Result<GrpcChannel, StartError> {
        let channel = self.peers.channel(from, to, &self.pki)?;
        Ok(self.wire.connect(from, to, channel))
    }

    fn trail(&self, service: ServiceName, config: &Config) -> Result<Trail, StartError> {
        let operator = config.gateway.tenant.parse().map_err(StartError::of(service))?;
        let audit = self.channel(service, ServiceName::Audit)?;
        Ok(Trail::start(
            audit,
            service,
            operator,
            Arc::clone(&self.clock),
            &self.trails,
        ))
    }
}
