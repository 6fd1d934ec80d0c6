//! AuthorizationService: where runs ask and enforcers spend.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{ServiceError as _, to_status};
use harombe_proto::hitl::v1::authorization_service_server::AuthorizationService;
use harombe_proto::hitl::v1::{
    AuthorizeRequest, AuthorizeResponse, AwaitDecisionRequest, AwaitDecisionResponse, RedeemGrantRequest,
    RedeemGrantResponse,
};
use harombe_rpc::{CallerExt as _, Refusals, TaskSet};
use harombe_types::{ApprovalId, RunPrincipal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::convert;
use crate::Error;
use crate::domain::{Authority, Change, Delivery};

/// What the audit log calls the method.
const AUTHORIZE: &str = "/harombe.hitl.v1.AuthorizationService/Authorize";
/// How often a run that waits hears that it still waits.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Updates that a slow reader may leave unread before its stream waits.
const UNREAD: usize = 4;

/// The handler.
pub(crate) struct Authorizations {
    authority: Authority,
    refusals: Arc<dyn Refusals>,
    tasks: TaskSet,
}

impl Authorizations {
    pub(crate) fn new(authority: Authority, refusals: Arc<dyn Refusals>, tasks: TaskSet) -> Self {
        Self {
            authority,
            refusals,
            tasks,
        }
    }
}

#[tonic::async_trait]
impl AuthorizationService for Authorizations {
    type AwaitDecisionStream = ReceiverStream<Result<AwaitDecisionResponse, Status>>;

    async fn authorize(
        &self,
        request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        let (caller, run) = (request.caller()?, request.run()?);
        let AuthorizeRequest { call, model_risk } = request.into_inner();
        let claimed = convert::claimed(model_risk).map_err(|error| to_status(&error))?;
        let authorized = self.authority.authorize(&run, &call, claimed).await;
        if let Err(full @ Error::TooManyPending { .. }) = &authorized {
            // However many ask in vain, together they are one event of the log in ten seconds.
            self.refusals
                .refused(Some(caller.service), AUTHORIZE, full.reason());
        }
        authorized
            .map(convert::authorized)
            .map(Response::new)
            .map_err(|error| to_status(&error))
    }

    async fn await_decision(
        &self,
        request: Request<AwaitDecisionRequest>,
    ) -> Result<Response<Self::AwaitDecisionStream>, Status> {
        let run = request.run()?;
        let id = request
            .into_inner()
            .approval_id
            .parse()
            .map_err(|error| to_status(&Error::Id(error)))?;
        // Before the first look, so that no decision falls between the two.
        let changes = self.authority.changes();
        let first = self
            .authority
            .deliver(&run, id)
            .await
            .map_err(|error| to_status(&error))?;
        let (updates, stream) = mpsc::channel(UNREAD);
        let wait = Wait {
            authority: self.authority.clone(),
            run,
            id,
            updates,
            stop: self.tasks.token(),
        };
        self.tasks.spawn(wait.run(first, changes));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn redeem_grant(
        &self,
        request: Request<RedeemGrantRequest>,
    ) -> Result<Response<RedeemGrantResponse>, Status> {
        let redeemer = request.caller()?.service;
        let RedeemGrantRequest { grant, call_digest } = request.into_inner();
        let lease = self.authority.redeem(redeemer, &grant, &call_digest).await;
        lease
            .map(|lease| Response::new(RedeemGrantResponse { lease }))
            .map_err(|error| to_status(&error))
    }
}

/// One open AwaitDecision.
struct Wait {
    authority: Authority,
    run: RunPrincipal,
    id: ApprovalId,
    updates: mpsc::Sender<Result<AwaitDecisionResponse, Status>>,
    stop: CancellationToken,
}

impl Wait {
    async fn run(self, first: Delivery, mut changes: broadcast::Receiver<Change>) {
        let mut delivery = Ok(first);
        loop {
            let (update, patience) = match delivery {
                Ok(Delivery::Waiting(left)) => (Ok(convert::waiting()), Some(left.min(HEARTBEAT))),
                Ok(Delivery::Decided(decided, grant)) => (Ok(convert::decided(*decided, grant)), None),
                // it was there at the first look
                Err(Error::NotFound(_)) => (Ok(convert::erased()), None),
                Err(error) => (Err(to_status(&error)), None),
            };
            let sent = self.updates.send(update).await.is_ok();
            let Some(patience) = patience.filter(|_| sent) else {
                return;
            };
            tokio::select! {
                () = self.changed(&mut changes) => {}
                () = tokio::time::sleep(patience) => {}
                () = self.updates.closed() => return,
                () = self.stop.cancelled() => return super::say_goodbye(&self.updates),
            }
            delivery = self.authority.deliver(&self.run, self.id).await;
        }
    }

    /// Returns when this request may have changed.
    async fn changed(&self, changes: &mut broadcast::Receiver<Change>) {
        loop {
            match changes.recv().await {
                Ok(change) if change.id != self.id || change.decision.is_none() => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}
