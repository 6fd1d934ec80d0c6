//! All seven services in one process, started in the order in which they may call each other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harombe_egress_proxy::Edges;
use harombe_rpc::{Server, TaskSet};
use harombe_types::{Clock, ServiceName, SystemClock};
use http::Uri;

use super::builder::{Audit, Builder, Peers};
use super::pki::Pki;
use super::{Config, DataDir, Direct, ModelSource, StartError, Wire};

/// How long what was begun may take to finish at shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// Where audit is.
#[derive(Clone, Debug, Default)]
pub enum AuditPlace {
    /// In this process, like the rest.
    #[default]
    Here,
    /// At another process's address, over mutual TLS.
    At(Uri),
}

/// What the system is put together from.
pub struct Assembly {
    pub data: PathBuf,
    pub config: Config,
    /// What stands behind the default agent; the configuration's when there is none.
    pub model: Option<ModelSource>,
    pub audit: AuditPlace,
    pub wire: Arc<dyn Wire>,
    /// The world outside; the machine's own when there is none.
    pub edges: Option<Edges>,
}

impl Assembly {
    /// Everything in this process, nothing in between.
    #[must_use]
    pub fn new(data: &Path, config: Config, model: Option<ModelSource>) -> Self {
        Self {
            data: data.to_owned(),
            config,
            model,
            audit: AuditPlace::Here,
            wire: Arc::new(Direct),
            edges: None,
        }
    }

    /// Starts every service and listens on the socket.
    ///
    /// # Errors
    /// The first thing that kept it from starting.
    pub async fn start(self) -> Result<Embedded, StartError> {
        let data = DataDir::open(&self.data)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let pki = Pki::open(&data, &*clock)?;
        let mut config = self.config.with_model(self.model.as_ref());
        // One list says which hosts are trusted: the egress policy's. The risk rules read it from there. A policy that cannot
        // be read trusts nobody, and egress-proxy says what is wrong with it.
        if let Ok(policy) = harombe_egress_proxy::load_policy(config.egress_proxy.policy.as_deref()) {
            config.hitl.trusted_hosts.extend(policy.trusted_hosts());
        }
        let builder = Builder {
            data,
            clock,
            pki,
            wire: self.wire,
            trails: TaskSet::new(),
        };
        let (audit, own_audit) = match self.audit {
            AuditPlace::Here => {
                let service = builder.audit(config.audit).await?;
                (Audit::Here(service.server().clone()), Some(service))
            }
            AuditPlace::At(uri) => (Audit::At(uri), None),
        };
        let hitl = builder.hitl(config.hitl, &audit).await?;
        let egress_proxy = builder
            .egress_proxy(config.egress_proxy, self.edges, &audit, hitl.server())
            .await?;
        let sandbox_broker = builder
            .sandbox_broker(config.sandbox_broker, &audit, hitl.server())
            .await?;
        let memory = builder.memory(config.memory, &audit).await?;
        let peers = Peers {
            hitl: hitl.server(),
            egress_proxy: egress_proxy.server(),
            sandbox_broker: sandbox_broker.server(),
            memory: memory.server(),
        };
        let runtime = builder.runtime(config.runtime, &audit, &peers).await?;
        let gateway = builder
            .gateway(config.gateway, &audit, &peers, runtime.server())
            .await?;
        builder.listen(gateway.server())?;
        let Builder { data, trails, .. } = builder;
        Ok(Embedded {
            data,
            gateway,
            runtime,
            memory,
            sandbox_broker,
            egress_proxy,
            hitl,
            audit: own_audit,
            trails,
        })
    }
}

/// The running system. It ends in order with [`Embedded::shutdown`].
pub struct Embedded {
    data: DataDir,
    gateway: harombe_gateway::Service,
    runtime: harombe_runtime::Service,
    memory: harombe_memory::Service,
    sandbox_broker: harombe_sandbox_broker::Service,
    egress_proxy: harombe_egress_proxy::Service,
    hitl: harombe_hitl::Service,
    /// Absent when audit is another process.
    audit: Option<harombe_audit::Service>,
    trails: TaskSet,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// The socket of the public door.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.data.socket()
    }

    /// What isolates executions, once that is proven.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub async fn isolation(&self) -> Result<&'static str, StartError> {
        self.sandbox_broker
            .isolation()
            .await
            .map_err(StartError::of(ServiceName::SandboxBroker))
    }

    /// The public key that verifies the log; absent when audit is another process.
    #[must_use]
    pub fn audit_key(&self) -> Option<&str> {
        self.audit.as_ref().map(harombe_audit::Service::verifier_key)
    }

    /// The server of a service, to call it as another service would; absent when it is another process.
    #[must_use]
    pub fn server(&self, service: ServiceName) -> Option<&Server> {
        match service {
            ServiceName::Gateway => Some(self.gateway.server()),
            ServiceName::Runtime => Some(self.runtime.server()),
            ServiceName::Memory => Some(self.memory.server()),
            ServiceName::SandboxBroker => Some(self.sandbox_broker.server()),
            ServiceName::EgressProxy => Some(self.egress_proxy.server()),
            ServiceName::Hitl => Some(self.hitl.server()),
            ServiceName::Audit => self.audit.as_ref().map(harombe_audit::Service::server),
            ServiceName::Client => None,
        }
    }

    /// Takes no more calls, lets what was begun finish, and closes every store: callers before those they call.
    pub async fn shutdown(self) {
        self.gateway.shutdown(DRAIN).await;
        self.runtime.shutdown(DRAIN).await;
        self.memory.shutdown(DRAIN).await;
        self.sandbox_broker.shutdown(DRAIN).await;
        self.egress_proxy.shutdown(DRAIN).await;
        self.hitl.shutdown(DRAIN).await;
        self.trails.shutdown(DRAIN).await;
        if let Some(audit) = self.audit {
            audit.shutdown(DRAIN).await;
        }
        // A socket that stays behind is replaced at the next start.
        let _ = std::fs::remove_file(self.data.socket());
    }
}
