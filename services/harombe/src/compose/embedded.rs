//! All seven services in one process, started in the order in which they may call each other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe_egress_proxy::Edges;
use harombe_rpc::{Server, TaskSet};
use harombe_types::{Clock, ServiceName, SystemClock};
use http::Uri;

use super::builder::Builder;
use super::door::{PublicPort, listen_unix};
use super::part::Part;
use super::peers::Peers;
use super::pki::Pki;
use super::{Config, DRAIN, DataDir, Direct, ModelSource, StartError, Wire};

/// Each after those that it calls.
const ORDER: [ServiceName; 7] = [
    ServiceName::Audit,
    ServiceName::Hitl,
    ServiceName::EgressProxy,
    ServiceName::SandboxBroker,
    ServiceName::Memory,
    ServiceName::Runtime,
    ServiceName::Gateway,
];

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
        let config = self.config.with_model(self.model.as_ref()).joined();
        let mut builder = Builder {
            metrics: harombe_rpc::Metrics::new(),
            data,
            clock,
            pki,
            peers: Peers::default(),
            wire: self.wire,
            edges: self.edges,
            trails: TaskSet::new(),
        };
        let public = match config.gateway.public.listen {
            Some(address) => Some(PublicPort::open(&config.gateway, address).await?),
            None => None,
        };
        let mut parts = Vec::new();
        for service in ORDER {
            if let (ServiceName::Audit, AuditPlace::At(uri)) = (service, &self.audit) {
                let target = uri.authority().map(ToString::to_string);
                builder.peers.add_at(service, target.into_iter().collect());
                continue;
            }
            let part = builder.build(service, &config).await?;
            builder.peers.add_here(part.server());
            parts.push(part);
        }
        let listening = TaskSet::new();
        let Some(Part::Gateway(gateway)) = parts.last() else {
            return Err(StartError::Unplaced(ServiceName::Gateway));
        };
        listen_unix(&builder.data, gateway.server(), &listening)?;
        let public = public.map(|port| port.serve(gateway, &listening));
        let Builder { data, trails, .. } = builder;
        Ok(Embedded {
            data,
            public,
            parts,
            listening,
            trails,
        })
    }
}

/// The running system. It ends in order with [`Embedded::shutdown`].
pub struct Embedded {
    data: DataDir,
    /// Where clients on the network come in, if they may.
    public: Option<String>,
    /// In the order in which they were started.
    parts: Vec<Part>,
    /// The doors and their connections.
    listening: TaskSet,
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

    /// The address of the public door on the network, where it has one.
    #[must_use]
    pub fn public(&self) -> Option<&str> {
        self.public.as_deref()
    }

    /// What isolates executions, once that is proven.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub async fn isolation(&self) -> Result<&'static str, StartError> {
        let broker = self.parts.iter().find_map(|part| match part {
            Part::SandboxBroker(broker) => Some(broker),
            _ => None,
        });
        let name = ServiceName::SandboxBroker;
        let broker = broker.ok_or(StartError::Unplaced(name))?;
        broker.isolation().await.map_err(StartError::of(name))
    }

    /// The public key that verifies the log; absent when audit is another process.
    #[must_use]
    pub fn audit_key(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Audit(audit) => Some(audit.verifier_key()),
            _ => None,
        })
    }

    /// The server of a service, to call it as another service would; absent when it is another process.
    #[must_use]
    pub fn server(&self, service: ServiceName) -> Option<&Server> {
        let mut servers = self.parts.iter().map(Part::server);
        servers.find(|server| server.name() == service)
    }

    /// Takes no more calls, lets what was begun finish, and closes every store: callers before those they call.
    pub async fn shutdown(mut self) {
        if let Some(gateway) = self.parts.last().map(Part::server) {
            gateway.set_serving(false);
            // Streams end, so that connections can.
            gateway.tasks().token().cancel();
        }
        self.listening.shutdown(DRAIN).await;
        while let Some(part) = self.parts.pop() {
            // The others' trails write to it until they have ended.
            if let Part::Audit(_) = part {
                self.trails.shutdown(DRAIN).await;
            }
            part.shutdown(DRAIN).await;
        }
        self.trails.shutdown(DRAIN).await;
        // A socket that stays behind is replaced at the next start.
        let _ = std::fs::remove_file(self.data.socket());
    }
}
