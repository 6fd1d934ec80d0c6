//! A service that was built, whichever it is.

use std::time::Duration;

use harombe_rpc::Server;

/// One of the seven.
pub(super) enum Part {
    Gateway(harombe_gateway::Service),
    Runtime(harombe_runtime::Service),
    Memory(harombe_memory::Service),
    SandboxBroker(harombe_sandbox_broker::Service),
    EgressProxy(harombe_egress_proxy::Service),
    Hitl(harombe_hitl::Service),
    Audit(harombe_audit::Service),
}

impl Part {
    /// What serves its calls.
    pub(super) fn server(&self) -> &Server {
        match self {
            Self::Gateway(service) => service.server(),
            Self::Runtime(service) => service.server(),
            Self::Memory(service) => service.server(),
            Self::SandboxBroker(service) => service.server(),
            Self::EgressProxy(service) => service.server(),
            Self::Hitl(service) => service.server(),
            Self::Audit(service) => service.server(),
        }
    }

    /// Lets what was begun finish until the deadline, and closes the store.
    pub(super) async fn shutdown(self, deadline: Duration) {
        match self {
            Self::Gateway(service) => service.shutdown(deadline).await,
            Self::Runtime(service) => service.shutdown(deadline).await,
            Self::Memory(service) => service.shutdown(deadline).await,
            Self::SandboxBroker(service) => service.shutdown(deadline).await,
            Self::EgressProxy(service) => service.shutdown(deadline).await,
            Self::Hitl(service) => service.shutdown(deadline).await,
            Self::Audit(service) => service.shutdown(deadline).await,
        }
    }
}
