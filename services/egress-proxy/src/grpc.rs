//! The wire: `EgressService` decodes, asks, and encodes.

use std::sync::Arc;

use harombe_error::to_status;
use harombe_proto::egress::v1::egress_service_server::EgressService;
use harombe_proto::egress::v1::{CheckRequest, CheckResponse, TunnelRequest, TunnelResponse};
use harombe_rpc::{CallerExt as _, TaskSet};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;
use crate::tunnel::{By, Opinion, Tunnels};

/// Answers that may wait for a slow caller.
const WAITING: usize = 8;

/// The service as tonic sees it.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) tunnels: Arc<Tunnels>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) tasks: TaskSet,
}

#[tonic::async_trait]
impl EgressService for Handler {
    type TunnelStream = ReceiverStream<Result<TunnelResponse, Status>>;

    async fn tunnel(
        &self,
        request: Request<Streaming<TunnelRequest>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        let (run, service) = (request.run()?, request.caller()?.service);
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| to_status(&Error::Busy))?;
        let (replies, answers) = mpsc::channel(WAITING);
        // A task of its own: a grant that was spent is recorded to its end even when the caller goes away.
        self.tasks.spawn(self.tunnels.clone().serve(
            By { run, service },
            request.into_inner(),
            replies,
            place,
        ));
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let run = request.run()?;
        let admission = &self.tunnels.admission;
        let opinion = admission
            .check(&run, &request.get_ref().call)
            .await
            .map_err(|error| to_status(&error))?;
        Ok(Response::new(answer(&opinion, admission.policy_version())))
    }
}

fn answer(opinion: &Opinion, policy_version: &str) -> CheckResponse {
    let denial = opinion.verdict.as_ref().err();
    CheckResponse {
        allowed: denial.is_none(),
        stage: denial
            .map(|denial| denial.stage().to_string())
            .unwrap_or_default(),
        reason: denial.map(ToString::to_string).unwrap_or_default(),
        trusted: opinion.trusted,
        policy_version: policy_version.to_owned(),
    }
}
