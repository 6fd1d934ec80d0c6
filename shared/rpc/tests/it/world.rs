//! A toy server with its PKI, and channels to it on one of the two paths.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::Reason;
use harombe_identity::{CertificateAuthority, Token, TokenMinter, TokenVerifier};
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_proto::egress::v1::egress_service_server::EgressServiceServer;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::approval_service_server::ApprovalServiceServer;
use harombe_proto::runtime::v1::runtime_service_client::RuntimeServiceClient;
use harombe_proto::runtime::v1::runtime_service_server::RuntimeServiceServer;
use harombe_rpc::{Deps, Door, GrpcChannel, Metrics, Refusals, Remote, Server};
use harombe_types::{
    Clock, ManualClock, Person, Role, RunId, RunPrincipal, ServiceName, SessionId, SystemClock, Timestamp,
};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::toy::Toy;

/// The server's name, and so the audience of its tokens.
pub(crate) const NAME: ServiceName = ServiceName::Hitl;

pub(crate) struct World {
    pub(crate) toy: Toy,
    pub(crate) server: Server,
    pub(crate) pki: Arc<CertificateAuthority>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) refusals: Arc<Recorded>,
    pub(crate) metrics: Metrics,
    /// `None` in process.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) stop: CancellationToken,
}

type Refusal = (Option<ServiceName>, String, Reason);

#[derive(Default)]
pub(crate) struct Recorded(Mutex<Vec<Refusal>>);

impl Recorded {
    pub(crate) fn take(&self) -> Vec<Refusal> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Refusals for Recorded {
    fn refused(&self, caller: Option<ServiceName>, method: &str, reason: Reason) {
        self.0.lock().push((caller, method.to_owned(), reason));
    }
}

impl World {
    pub(crate) fn in_process() -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let pki = CertificateAuthority::create("toy.test", &*clock).unwrap();
        Self::of(Arc::new(pki), clock)
    }

    pub(crate) fn of(pki: Arc<CertificateAuthority>, clock: Arc<ManualClock>) -> Self {
        let refusals = Arc::new(Recorded::default());
        let metrics = Metrics::new();
        let deps = Deps {
            metrics: metrics.clone(),
            door: Door::Internal(Arc::new(TokenVerifier::new(pki.roots().clone()))),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            refusals: Arc::clone(&refusals) as Arc<dyn Refusals>,
        };
        let toy = Toy::new();
        let server = mount(deps, &toy);
        Self {
            toy,
            server,
            pki,
            clock,
            refusals,
            metrics,
            address: None,
            stop: CancellationToken::new(),
        }
    }

    pub(crate) async fn over_tls() -> Self {
        Self::in_process().listening().await
    }

    /// Another instance of the same service.
    pub(crate) async fn over_tls_like(other: &Self) -> Self {
        Self::of(Arc::clone(&other.pki), Arc::clone(&other.clock))
            .listening()
            .await
    }

    async fn listening(mut self) -> Self {
        let world = &mut self;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        world.address = Some(listener.local_addr().unwrap());
        let (server, stop) = (world.server.clone(), world.stop.clone());
        let identity = world.pki.issue(NAME, &*world.clock).unwrap();
        tokio::spawn(async move { server.serve_tls(listener, &identity, stop).await.unwrap() });
        self
    }

    pub(crate) fn channel(&self, caller: ServiceName) -> GrpcChannel {
        let Some(address) = self.address else {
            return GrpcChannel::local(&self.server, caller);
        };
        let identity = self.pki.issue(caller, &*self.clock).unwrap();
        let uri = format!("https://{address}").parse().unwrap();
        GrpcChannel::remote(&Remote {
            uri,
            identity,
            server: NAME,
        })
        .unwrap()
    }

    /// PERSON methods, for the gateway.
    pub(crate) fn approvals(&self) -> ApprovalServiceClient<GrpcChannel> {
        ApprovalServiceClient::new(self.channel(ServiceName::Gateway))
    }

    /// RUN methods, for the runtime.
    pub(crate) fn egress(&self) -> EgressServiceClient<GrpcChannel> {
        EgressServiceClient::new(self.channel(ServiceName::Runtime))
    }

    /// NONE and RUN methods, for the gateway.
    pub(crate) fn runtime(&self) -> RuntimeServiceClient<GrpcChannel> {
        RuntimeServiceClient::new(self.channel(ServiceName::Gateway))
    }

    pub(crate) fn minter(&self) -> TokenMinter {
        TokenMinter::new(self.pki.issue(ServiceName::Gateway, &*self.clock).unwrap())
    }

    pub(crate) fn person_token(&self, roles: &[Role]) -> Token {
        self.minter()
            .person(&person(roles), NAME, self.clock.now())
            .unwrap()
    }

    pub(crate) fn approver(&self) -> Token {
        self.person_token(&[Role::Approver])
    }

    pub(crate) fn run_token(&self) -> Token {
        let expires = self.clock.now().plus(Duration::from_secs(900));
        self.minter().run(&run(), expires, self.clock.now()).unwrap()
    }
}

fn mount(deps: Deps, toy: &Toy) -> Server {
    Server::builder(NAME, deps)
        .service(ApprovalServiceServer::new(toy.clone()))
        .service(EgressServiceServer::new(toy.clone()))
        .service(RuntimeServiceServer::new(toy.clone()))
        .health()
        .reflection()
        .build()
        .unwrap()
}

pub(crate) fn person(roles: &[Role]) -> Person {
    Person {
        tenant: "acme".parse().unwrap(),
        subject: "ann".parse().unwrap(),
        roles: roles.iter().copied().collect::<BTreeSet<_>>(),
        allow_self: false,
    }
}

pub(crate) fn run() -> RunPrincipal {
    let clock = ManualClock::at(Timestamp::from_millis(0));
    RunPrincipal {
        tenant: "acme".parse().unwrap(),
        subject: "ann".parse().unwrap(),
        agent: "default".parse().unwrap(),
        session: SessionId::generate(&clock),
        run: RunId::generate(&clock),
    }
}
