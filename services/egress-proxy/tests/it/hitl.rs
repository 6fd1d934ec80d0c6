//! A stand-in for hitl that only redeems: it keeps hitl's promise of once per call, and breaks what a test tells it to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_grant::{Lease, Signer, Verifier};
use harombe_proto::hitl::v1::authorization_service_server::{
    AuthorizationService, AuthorizationServiceServer,
};
use harombe_proto::hitl::v1::{
    AuthorizeRequest, AuthorizeResponse, AwaitDecisionRequest, AwaitDecisionResponse, RedeemGrantRequest,
    RedeemGrantResponse,
};
use harombe_rpc::{CallerExt as _, Deps, GrpcChannel, LogRefusals, Server};
use harombe_testkit::TestPki;
use harombe_types::{CallId, Clock, LeaseId, ServiceName};
use tonic::{Request, Response, Status};

/// Changes a lease before it is signed.
type Edit = Box<dyn Fn(&mut Lease) + Send + Sync>;

pub(crate) struct Hitl {
    server: Server,
    state: Arc<State>,
}

struct State {
    signer: Signer,
    verifier: Verifier,
    clock: Arc<dyn Clock>,
    redeemed: Mutex<HashSet<CallId>>,
    edit: Mutex<Edit>,
    failure: Mutex<Option<Failure>>,
}

impl Hitl {
    pub(crate) fn new(pki: &TestPki, clock: Arc<dyn Clock>) -> Self {
        let state = Arc::new(State {
            signer: Signer::new(pki.identity(ServiceName::Hitl)),
            verifier: Verifier::new(pki.roots().clone()),
            clock: clock.clone(),
            redeemed: Mutex::default(),
            edit: Mutex::new(Box::new(|_| ())),
            failure: Mutex::default(),
        });
        let deps = Deps {
            metrics: harombe_rpc::Metrics::new(),
            door: pki.door(),
            clock,
            refusals: Arc::new(LogRefusals),
        };
        let service = AuthorizationServiceServer::new(Handler(state.clone()));
        let server = Server::builder(ServiceName::Hitl, deps)
            .service(service)
            .build()
            .expect("a server");
        Self { server, state }
    }

    pub(crate) fn channel(&self) -> GrpcChannel {
        GrpcChannel::local(&self.server, ServiceName::EgressProxy)
    }

    pub(crate) fn redeemed(&self) -> usize {
        self.state.redeemed.lock().expect("a lock").len()
    }

    pub(crate) fn lease(&self, edit: impl Fn(&mut Lease) + Send + Sync + 'static) {
        *self.state.edit.lock().expect("a lock") = Box::new(edit);
    }

    pub(crate) fn fail(&self, code: Code, reason: Reason) {
        *self.state.failure.lock().expect("a lock") = Some(Failure::new(code, reason, "told to fail"));
    }
}

struct Handler(Arc<State>);

#[tonic::async_trait]
impl AuthorizationService for Handler {
    type AwaitDecisionStream = tokio_stream::Empty<Result<AwaitDecisionResponse, Status>>;

    async fn authorize(&self, _: Request<AuthorizeRequest>) -> Result<Response<AuthorizeResponse>, Status> {
        Err(Status::unimplemented("tests sign their own grants"))
    }

    async fn await_decision(
        &self,
        _: Request<AwaitDecisionRequest>,
    ) -> Result<Response<Self::AwaitDecisionStream>, Status> {
        Err(Status::unimplemented("tests sign their own grants"))
    }

    async fn redeem_grant(
        &self,
        request: Request<RedeemGrantRequest>,
    ) -> Result<Response<RedeemGrantResponse>, Status> {
        let state = &self.0;
        if let Some(failure) = &*state.failure.lock().expect("a lock") {
            return Err(failure.to_status());
        }
        let now = state.clock.now();
        let redeemer = request.caller()?.service;
        let grant = state.verifier.grant(&request.get_ref().grant, redeemer, now);
        let grant = grant.map_err(|error| harombe_error::to_status(&error))?;
        assert_eq!(
            request.get_ref().call_digest.as_ref(),
            grant.digest,
            "the digest of the call to be performed"
        );
        if !state.redeemed.lock().expect("a lock").insert(grant.call) {
            return Err(
                Failure::new(Code::FailedPrecondition, Reason::GrantRedeemed, "spent before").to_status(),
            );
        }
        let mut lease = Lease {
            id: LeaseId::generate(&*state.clock),
            grant: grant.id,
            redeemer,
            expires: now.plus(Duration::from_secs(60)),
            connections: 1,
            bytes: 1024 * 1024,
            destinations: grant.destinations,
            tenant: grant.tenant,
            run: grant.run,
            call: grant.call,
        };
        (state.edit.lock().expect("a lock"))(&mut lease);
        let lease = state.signer.lease(&lease).expect("signed");
        Ok(Response::new(RedeemGrantResponse { lease }))
    }
}
