//! hitl: asks for permission and waits for decisions.

use futures_util::StreamExt as _;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::hitl::v1 as wire;
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::hitl::v1::await_decision_response::Update;
use harombe_proto::types::v1::Risk;
use harombe_rpc::GrpcChannel;
use harombe_types::Timestamp;
use tonic::Status;

use super::{nonsense, time_or_now, with_token};

/// The client.
#[derive(Clone)]
pub(crate) struct Hitl(AuthorizationServiceClient<GrpcChannel>);

/// What hitl says about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    /// How much harm it could do.
    pub risk: Risk,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// Whether it may be done.
    pub decision: Decision,
}

/// Whether a call may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Now, with this grant.
    Granted(String),
    /// A person is asked.
    Pending {
        /// The request's id.
        approval: String,
        /// Then it is denied.
        deadline: Timestamp,
    },
    /// It was granted and the grant was spent before.
    AlreadyRedeemed,
}

fn at(status: &Status) -> Failure {
    super::failure(status, Reason::HitlUnavailable)
}

impl Hitl {
    pub(super) fn new(channel: GrpcChannel) -> Self {
        Self(AuthorizationServiceClient::new(channel))
    }

    /// Asks for permission for exactly this call.
    pub(crate) async fn authorize(
        &self,
        token: &str,
        call: &[u8],
        now: Timestamp,
    ) -> Result<Authorization, Failure> {
        let message = wire::AuthorizeRequest {
            call: call.to_vec().into(),
            ..wire::AuthorizeRequest::default()
        };
        let response = self
            .0
            .clone()
            .authorize(with_token(message, token))
            .await
            .map_err(|status| at(&status))?;
        let response = response.into_inner();
        let risk = response.risk();
        let decision = match response.outcome.ok_or_else(|| nonsense("an outcome"))? {
            Outcome::Granted(granted) => Decision::Granted(granted.grant),
            Outcome::Pending(pending) => Decision::Pending {
                approval: pending.approval_id,
                deadline: time_or_now(pending.deadline, now),
            },
            Outcome::AlreadyRedeemed(_) => Decision::AlreadyRedeemed,
        };
        Ok(Authorization {
            risk,
            reasons: response.reasons,
            decision,
        })
    }

    /// Waits until the approval is decided. Fails when the stream breaks; it may be opened again.
    pub(crate) async fn await_decision(
        &self,
        token: &str,
        approval_id: &str,
    ) -> Result<wire::Decided, Failure> {
        let message = wire::AwaitDecisionRequest {
            approval_id: approval_id.to_owned(),
        };
        let mut client = self.0.clone();
        // what opens the stream is of no use while it waits, which may be for a quarter of an hour
        let opened = Box::pin(client.await_decision(with_token(message, token))).await;
        let mut updates = opened.map_err(|status| at(&status))?.into_inner();
        while let Some(update) = updates.next().await {
            if let Some(Update::Decided(decided)) = update.map_err(|status| at(&status))?.update {
                return Ok(decided);
            }
        }
        let words = "the stream ended before the decision";
        Err(Failure::new(Code::Unavailable, Reason::HitlUnavailable, words))
    }
}
