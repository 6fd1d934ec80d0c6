//! hitl as its proto has it: grants what the test lets it, asks for the rest, and never grants a spent call again.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use harombe_canonical::CanonicalCall;
use harombe_proto::hitl::v1 as wire;
use harombe_proto::hitl::v1::authorization_service_server::{
    AuthorizationService, AuthorizationServiceServer,
};
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::hitl::v1::await_decision_response::Update;
use harombe_proto::types::v1::{Decision, Risk};
use harombe_rpc::{GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, ServiceName};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::world::server;

#[derive(Clone)]
pub(crate) struct Hitl {
    pub(crate) state: Arc<Mutex<State>>,
    decision: watch::Sender<Option<(Decision, &'static str)>>,
    clock: Arc<dyn Clock>,
    server: Option<Server>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Tools that need a person.
    pub(crate) ask_for: BTreeSet<&'static str>,
    pub(crate) authorized: Vec<CanonicalCall>,
    pub(crate) spent: BTreeSet<String>,
    pub(crate) away: bool,
}

impl Hitl {
    pub(crate) fn new(pki: &TestPki, clock: Arc<dyn Clock>) -> Self {
        let mut hitl = Self {
            state: Arc::default(),
            decision: watch::Sender::new(None),
            clock: clock.clone(),
            server: None,
        };
        let handlers = hitl.clone();
        hitl.server = Some(server(ServiceName::Hitl, pki, clock, |builder| {
            builder.service(AuthorizationServiceServer::new(handlers))
        }));
        hitl
    }

    pub(crate) fn channel(&self, as_: ServiceName) -> GrpcChannel {
        GrpcChannel::local(self.server.as_ref().unwrap(), as_)
    }

    pub(crate) fn ask_for(&self, tool: &'static str) {
        self.state.lock().ask_for.insert(tool);
    }

    /// A person decides everything that waits or will wait.
    pub(crate) fn decide(&self, decision: Decision, comment: &'static str) {
        self.decision.send_replace(Some((decision, comment)));
    }

    /// What an enforcing service does before it acts.
    pub(crate) fn redeem(&self, grant: &str, call: &[u8]) -> CanonicalCall {
        let call = CanonicalCall::parse(call).unwrap();
        assert_eq!(grant, format!("grant for {}", call.call()));
        assert!(
            self.state.lock().spent.insert(call.call().to_owned()),
            "spent twice"
        );
        call
    }
}

#[tonic::async_trait]
impl AuthorizationService for Hitl {
    type AwaitDecisionStream =
        Pin<Box<dyn Stream<Item = Result<wire::AwaitDecisionResponse, Status>> + Send>>;

    async fn authorize(
        &self,
        request: Request<wire::AuthorizeRequest>,
    ) -> Result<Response<wire::AuthorizeResponse>, Status> {
        let call = CanonicalCall::parse(&request.into_inner().call).unwrap();
        let mut state = self.state.lock();
        if state.away {
            return Err(Status::unavailable("away"));
        }
        state.authorized.push(call.clone());
        let asked = state.ask_for.contains(call.tool());
        let outcome = if state.spent.contains(call.call()) {
            Outcome::AlreadyRedeemed(wire::AlreadyRedeemed {})
        } else if asked {
            let seconds = self.clock.now().as_secs() + 900;
            Outcome::Pending(wire::Pending {
                approval_id: call.call().to_owned(),
                deadline: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            })
        } else {
            Outcome::Granted(wire::Granted {
                grant: format!("grant for {}", call.call()),
            })
        };
        let risk = if asked { Risk::High } else { Risk::Low };
        let reasons = vec!["because the test says so".to_owned()];
        Ok(Response::new(wire::AuthorizeResponse {
            risk: risk.into(),
            reasons,
            outcome: Some(outcome),
        }))
    }

    async fn await_decision(
        &self,
        request: Request<wire::AwaitDecisionRequest>,
    ) -> Result<Response<Self::AwaitDecisionStream>, Status> {
        let approval = request.into_inner().approval_id;
        let mut decisions = self.decision.subscribe();
        let decided = async move {
            let (decision, comment) = decisions.wait_for(Option::is_some).await.unwrap().unwrap();
            let grant = match decision {
                Decision::Approved => format!("grant for {approval}"),
                _ => String::new(),
            };
            Update::Decided(wire::Decided {
                decision: decision.into(),
                decided_by: "bob".into(),
                comment: comment.into(),
                grant,
                ..wire::Decided::default()
            })
        };
        let updates = futures_util::stream::iter([Update::Waiting(wire::Waiting {})])
            .chain(futures_util::stream::once(decided))
            .map(|update| Ok(wire::AwaitDecisionResponse { update: Some(update) }));
        Ok(Response::new(Box::pin(updates)))
    }

    async fn redeem_grant(
        &self,
        _: Request<wire::RedeemGrantRequest>,
    ) -> Result<Response<wire::RedeemGrantResponse>, Status> {
        Err(Status::unimplemented("the stand-ins redeem directly"))
    }
}
