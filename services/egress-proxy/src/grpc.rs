//! The wire: `EgressService` decodes, asks, and encodes.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use harombe_error::to_status;
use harombe_proto::egress::v1::egress_service_server::EgressService;
use harombe_proto::egress::v1::{
    CheckRequest, CheckResponse, OwnTunnelRequest, OwnTunnelResponse, TunnelRequest, TunnelResponse,
};
use harombe_rpc::{CallerExt as _, TaskSet};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;
use crate::tunnel::{By, Frames, Opinion, Tunnels, Whom};

/// Answers that may wait for a slow caller.
const WAITING: usize = 8;

/// The service as tonic sees it.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) tunnels: Arc<Tunnels>,
    /// For runs' tunnels.
    pub(crate) places: Arc<Semaphore>,
    /// For services' own.
    pub(crate) own_places: Arc<Semaphore>,
    pub(crate) tasks: TaskSet,
}

type Answers = mpsc::Receiver<Result<TunnelResponse, Status>>;

impl Handler {
    /// Serves a tunnel in a task of its own: a grant that was spent is recorded to its end even when the caller goes away.
    fn open(&self, by: By, frames: Frames) -> Result<Answers, Status> {
        let places = match &by.whom {
            Whom::Run(_) => Arc::clone(&self.places),
            Whom::Service { .. } => Arc::clone(&self.own_places),
        };
        let place = places.try_acquire_owned().map_err(|_| to_status(&Error::Busy))?;
        let (replies, answers) = mpsc::channel(WAITING);
        self.tasks
            .spawn(Arc::clone(&self.tunnels).serve(by, frames, replies, place));
        Ok(answers)
    }
}

#[tonic::async_trait]
impl EgressService for Handler {
    type TunnelStream = ReceiverStream<Result<TunnelResponse, Status>>;
    type OwnTunnelStream = Pin<Box<dyn Stream<Item = Result<OwnTunnelResponse, Status>> + Send>>;

    async fn tunnel(
        &self,
        request: Request<Streaming<TunnelRequest>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        let by = By {
            whom: Whom::Run(request.run()?),
            service: request.caller()?.service,
        };
        self.open(by, Box::pin(request.into_inner()))
            .map(|answers| Response::new(ReceiverStream::new(answers)))
    }

    async fn own_tunnel(
        &self,
        request: Request<Streaming<OwnTunnelRequest>>,
    ) -> Result<Response<Self::OwnTunnelStream>, Status> {
        let service = request.caller()?.service;
        let operator = self.tunnels.admission.trail.operator().clone();
        let by = By {
            whom: Whom::Service { operator, service },
            service,
        };
        let frames = request
            .into_inner()
            .map(|message| message.map(|message| message.frame.unwrap_or_default()));
        let answers = self.open(by, Box::pin(frames))?;
        let answers = ReceiverStream::new(answers)
            .map(|answer| answer.map(|frame| OwnTunnelResponse { frame: Some(frame) }));
        Ok(Response::new(Box::pin(answers)))
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
