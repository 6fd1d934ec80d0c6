//! `hitl.v1.ApprovalService`, passed on in the name of the person who calls.

use harombe_proto::hitl::v1::approval_service_server::ApprovalService;
use harombe_proto::hitl::v1::{
    DecideRequest, DecideResponse, ListRequest, ListResponse, WatchRequest, WatchResponse,
};
use harombe_types::{ApprovalId, ServiceName};
use tonic::{Request, Response, Status};

use super::visitor::held;
use super::{Answers, forwarded};
use crate::Error;
use crate::peers::{HITL, Peers, passed_on};

pub(crate) struct ApprovalGrpc(pub(crate) Peers);

impl ApprovalGrpc {
    fn passing<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        let visitor = self.0.visitor(&request)?;
        Ok(self
            .0
            .tokens
            .person(request.into_inner(), &visitor.person, ServiceName::Hitl)?)
    }
}

#[tonic::async_trait]
impl ApprovalService for ApprovalGrpc {
    type WatchStream = Answers<WatchResponse>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let request = self.passing(request)?;
        self.0
            .approvals
            .clone()
            .list(request)
            .await
            .map_err(|status| passed_on(HITL, &status))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let slot = self.0.visitor(&request)?.slot()?;
        let request = self.passing(request)?;
        let watched = self.0.approvals.clone().watch(request).await;
        let watched = watched.map_err(|status| passed_on(HITL, &status))?;
        Ok(held(slot, forwarded(HITL, watched.into_inner(), |change| change)))
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        request
            .get_ref()
            .approval_id
            .parse::<ApprovalId>()
            .map_err(Error::Id)?;
        let request = self.passing(request)?;
        self.0
            .approvals
            .clone()
            .decide(request)
            .await
            .map_err(|status| passed_on(HITL, &status))
    }
}
