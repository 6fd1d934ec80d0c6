//! ErasureService: where an admin has a person's requests erased.

use harombe_error::to_status;
use harombe_proto::hitl::v1::erasure_service_server::ErasureService;
use harombe_proto::hitl::v1::{ErasePersonRequest, ErasePersonResponse};
use harombe_rpc::CallerExt as _;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::domain::{Authority, Erased};

/// The handler.
pub(crate) struct Erasures(pub(crate) Authority);

#[tonic::async_trait]
impl ErasureService for Erasures {
    async fn erase_person(
        &self,
        request: Request<ErasePersonRequest>,
    ) -> Result<Response<ErasePersonResponse>, Status> {
        let admin = request.person()?;
        let subject = request.into_inner().subject.parse();
        let subject = subject.map_err(|error| to_status(&Error::Name(error)))?;
        let erased = self.0.erase_person(&admin, &subject).await;
        let Erased { approvals, more } = erased.map_err(|error| to_status(&error))?;
        Ok(Response::new(ErasePersonResponse { approvals, more }))
    }
}
