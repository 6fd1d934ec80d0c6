//! The reads of `audit.v1.AuditService`, passed on in the name of the person who calls. Nobody writes through this door.

use harombe_error::{Code, Failure, Reason};
use harombe_proto::audit::v1::audit_service_server::AuditService;
use harombe_proto::audit::v1::{
    AppendBatchRequest, AppendBatchResponse, AppendRequest, AppendResponse, GetCheckpointRequest,
    GetCheckpointResponse, GetConsistencyProofRequest, GetConsistencyProofResponse, GetInclusionProofRequest,
    GetInclusionProofResponse, QueryRequest, QueryResponse,
};
use harombe_types::ServiceName;
use tonic::{Request, Response, Status};

use super::visitor::held;
use super::{Answers, forwarded};
use crate::peers::{AUDIT, Peers, passed_on};

pub(crate) struct LogGrpc(pub(crate) Peers);

impl LogGrpc {
    fn passing<T>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        let visitor = self.0.visitor(&request)?;
        Ok(self
            .0
            .tokens
            .person(request.into_inner(), &visitor.person, ServiceName::Audit)?)
    }
}

/// The server stack refuses writes before they come here; this is for the day when it is given other options.
fn read_only() -> Status {
    Failure::new(
        Code::PermissionDenied,
        Reason::NotAllowed,
        "clients may not write to the audit log",
    )
    .to_status()
}

#[tonic::async_trait]
impl AuditService for LogGrpc {
    type QueryStream = Answers<QueryResponse>;

    async fn append(&self, _: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        Err(read_only())
    }

    async fn append_batch(
        &self,
        _: Request<AppendBatchRequest>,
    ) -> Result<Response<AppendBatchResponse>, Status> {
        Err(read_only())
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let slot = self.0.visitor(&request)?.slot()?;
        let request = self.passing(request)?;
        let found = self
            .0
            .log
            .clone()
            .query(request)
            .await
            .map_err(|status| passed_on(AUDIT, &status))?;
        Ok(held(slot, forwarded(AUDIT, found.into_inner(), |item| item)))
    }

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let request = self.passing(request)?;
        self.0
            .log
            .clone()
            .get_checkpoint(request)
            .await
            .map_err(|status| passed_on(AUDIT, &status))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        let request = self.passing(request)?;
        self.0
            .log
            .clone()
            .get_consistency_proof(request)
            .await
            .map_err(|status| passed_on(AUDIT, &status))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        let request = self.passing(request)?;
        self.0
            .log
            .clone()
            .get_inclusion_proof(request)
            .await
            .map_err(|status| passed_on(AUDIT, &status))
    }
}
