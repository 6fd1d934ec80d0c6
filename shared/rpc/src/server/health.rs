//! `grpc.health.v1`: whether this server wants calls, for balancers and orchestrators.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use harombe_error::{Code, Failure, Reason};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::http::Closing;

/// Answers for the server as a whole (the empty name) and for each of its services, which share its state.
pub(crate) struct ServerHealth {
    pub(crate) services: Vec<&'static str>,
    pub(crate) serving: watch::Receiver<bool>,
    /// The end of the server.
    pub(crate) stop: CancellationToken,
}

impl ServerHealth {
    fn know(&self, request: &Request<HealthCheckRequest>) -> Result<(), Status> {
        let name = request.get_ref().service.as_str();
        if name.is_empty() || self.services.contains(&name) {
            return Ok(());
        }
        Err(Failure::new(Code::NotFound, Reason::NotFound, "no such service here").to_status())
    }
}

fn answer(serving: bool) -> HealthCheckResponse {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl Health for ServerHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.know(&request)?;
        Ok(Response::new(answer(*self.serving.borrow())))
    }

    /// Ends with the server, and when its connection is to end: no watcher keeps a connection from closing.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.know(&request)?;
        let closing = request.extensions().get::<Closing>();
        let closing = closing.map_or_else(CancellationToken::new, |closing| closing.0.clone());
        let mut serving = self.serving.clone();
        serving.mark_changed();
        let states = stream::unfold(serving, |mut serving| async {
            serving.changed().await.ok()?;
            let now = *serving.borrow_and_update();
            Some((Ok(answer(now)), serving))
        });
        let states = states
            .take_until(self.stop.clone().cancelled_owned())
            .take_until(closing.cancelled_owned());
        Ok(Response::new(Box::pin(states)))
    }
}
