//! One service after the other, each with what it needs and the channels that it may use.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use harombe_egress_proxy::Edges;
use harombe_identity::ServiceIdentity;
use harombe_rpc::{GrpcChannel, Remote, Server, TaskSet};
use harombe_trail::Trail;
use harombe_types::{Clock, ServiceName};
use http::Uri;
use tokio::net::UnixListener;

use super::pki::Pki;
use super::{DataDir, StartError, Wire};

/// What every service is built from.
pub(super) struct Builder {
    pub(super) data: DataDir,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pki: Pki,
    pub(super) wire: Arc<dyn Wire>,
    /// Where trails are written: they end after the services that write them.
    pub(super) trails: TaskSet,
}

impl Builder {
    pub(super) async fn audit(
        &self,
        config: harombe_audit::Config,
    ) -> Result<harombe_audit::Service, StartError> {
        let deps = harombe_audit::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(ServiceName::Audit)?,
            data: self.data.service(ServiceName::Audit)?,
        };
        harombe_audit::build(config, deps)
            .await
            .map_err(StartError::of(ServiceName::Audit))
    }

    pub(super) async fn hitl(
        &self,
        config: harombe_hitl::Config,
        audit: &Audit,
    ) -> Result<harombe_hitl::Service, StartError> {
        let deps = harombe_hitl::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(ServiceName::Hitl)?,
            trail: self.trail(ServiceName::Hitl, audit)?,
            data: self.data.service(ServiceName::Hitl)?,
        };
        harombe_hitl::build(config, deps)
            .await
            .map_err(StartError::of(ServiceName::Hitl))
    }

    pub(super) async fn egress_proxy(
        &self,
        config: harombe_egress_proxy::Config,
        edges: Option<Edges>,
        audit: &Audit,
        hitl: &Server,
    ) -> Result<harombe_egress_proxy::Service, StartError> {
        let name = ServiceName::EgressProxy;
        let edges = match edges {
            Some(edges) => edges,
            None => Edges::system(),
        };
        let deps = harombe_egress_proxy::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(name)?,
            trail: self.trail(name, audit)?,
            hitl: self.local(name, hitl),
            edges,
        };
        harombe_egress_proxy::build(config, deps)
            .await
            .map_err(StartError::of(name))
    }

    pub(super) async fn sandbox_broker(
        &self,
        config: harombe_sandbox_broker::Config,
        audit: &Audit,
        hitl: &Server,
    ) -> Result<harombe_sandbox_broker::Service, StartError> {
        let name = ServiceName::SandboxBroker;
        let deps = harombe_sandbox_broker::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(name)?,
            trail: self.trail(name, audit)?,
            data: self.data.service(name)?,
            hitl: self.local(name, hitl),
        };
        harombe_sandbox_broker::build(config, deps)
            .await
            .map_err(StartError::of(name))
    }

    pub(super) async fn memory(
        &self,
        config: harombe_memory::Config,
        audit: &Audit,
    ) -> Result<harombe_memory::Service, StartError> {
        let name = ServiceName::Memory;
        let deps = harombe_memory::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(name)?,
            refusals: Arc::new(self.trail(name, audit)?),
            data: self.data.service(name)?,
        };
        harombe_memory::build(config, deps)
            .await
            .map_err(StartError::of(name))
    }

    pub(super) async fn runtime(
        &self,
        config: harombe_runtime::Config,
        audit: &Audit,
        peers: &Peers<'_>,
    ) -> Result<harombe_runtime::Service, StartError> {
        let name = ServiceName::Runtime;
        let deps = harombe_runtime::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(name)?,
            trail: self.trail(name, audit)?,
            memory: self.local(name, peers.memory),
            hitl: self.local(name, peers.hitl),
            sandbox_broker: self.local(name, peers.sandbox_broker),
            egress_proxy: self.local(name, peers.egress_proxy),
        };
        harombe_runtime::build(config, deps)
            .await
            .map_err(StartError::of(name))
    }

    pub(super) async fn gateway(
        &self,
        mut config: harombe_gateway::Config,
        audit: &Audit,
        peers: &Peers<'_>,
        runtime: &Server,
    ) -> Result<harombe_gateway::Service, StartError> {
        let name = ServiceName::Gateway;
        config.person = config.person.or_else(super::owner::name);
        let deps = harombe_gateway::Deps {
            clock: Arc::clone(&self.clock),
            identity: self.identity(name)?,
            trail: self.trail(name, audit)?,
            owner: rustix::process::geteuid().as_raw(),
            runtime: self.local(name, runtime),
            memory: self.local(name, peers.memory),
            hitl: self.local(name, peers.hitl),
            audit: self.audit_channel(name, audit)?,
        };
        harombe_gateway::build(config, deps)
            .await
            .map_err(StartError::of(name))
    }

    /// Listens on the socket of the data directory, for its owner alone. Whoever holds the directory's lock may replace a
    /// socket that a dead process left behind.
    pub(super) fn listen(&self, gateway: &Server) -> Result<(), StartError> {
        let path = self.data.socket();
        let listen = |path: &std::path::Path| {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(path)?;
            // The directory is 0700 already; peer credentials are checked at every call.
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        let listener = listen(&path).map_err(|source| StartError::Listen {
            path: path.clone(),
            source,
        })?;
        let (server, tasks) = (gateway.clone(), gateway.tasks());
        let stop = tasks.token();
        tasks.spawn(async move {
            server.serve_unix(listener, stop).await;
        });
        Ok(())
    }

    fn identity(&self, service: ServiceName) -> Result<ServiceIdentity, StartError> {
        self.pki.identity(service)
    }

    fn local(&self, from: ServiceName, to: &Server) -> GrpcChannel {
        self.wire.connect(from, to.name(), GrpcChannel::local(to, from))
    }

    fn audit_channel(&self, from: ServiceName, audit: &Audit) -> Result<GrpcChannel, StartError> {
        match audit {
            Audit::Here(server) => Ok(self.local(from, server)),
            Audit::At(uri) => {
                let identity = self.identity(from)?;
                let remote = Remote {
                    uri: uri.clone(),
                    identity,
                    server: ServiceName::Audit,
                };
                let channel = GrpcChannel::remote(&remote).map_err(StartError::Channel)?;
                Ok(self.wire.connect(from, ServiceName::Audit, channel))
            }
        }
    }

    fn trail(&self, service: ServiceName, audit: &Audit) -> Result<Trail, StartError> {
        let channel = self.audit_channel(service, audit)?;
        Ok(Trail::start(
            channel,
            service,
            Arc::clone(&self.clock),
            &self.trails,
        ))
    }
}

/// The audit service as others reach it.
pub(super) enum Audit {
    Here(Server),
    At(Uri),
}

/// Servers that runtime and gateway call.
pub(super) struct Peers<'a> {
    pub(super) hitl: &'a Server,
    pub(super) egress_proxy: &'a Server,
    pub(super) sandbox_broker: &'a Server,
    pub(super) memory: &'a Server,
}
