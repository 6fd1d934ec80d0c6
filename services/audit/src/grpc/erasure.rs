//! `harombe.audit.v1.ErasureService`: an admin has the log forget a person of their tenant.

use harombe_proto::audit::v1::erasure_service_server::ErasureService;
use harombe_proto::audit::v1::{ErasePersonRequest, ErasePersonResponse};
use harombe_rpc::CallerExt as _;
use tonic::{Request, Response, Status};

use super::{convert, refused};
use crate::log::Erasures;

/// The handler.
pub(crate) struct ErasureHandler {
    erasures: Erasures,
}

impl ErasureHandler {
    pub(crate) fn new(erasures: Erasures) -> Self {
        Self { erasures }
    }
}

#[tonic::async_trait]
impl ErasureService for ErasureHandler {
    async fn erase_person(
        &self,
        request: Request<ErasePersonRequest>,
    ) -> Result<Response<ErasePersonResponse>, Status> {
        let by = request.person()?;
        let subject = convert::erased(request.get_ref()).map_err(refused)?;
        let data_keys = self.erasures.erase(&by, &subject).await.map_err(refused)?;
        Ok(Response::new(ErasePersonResponse { data_keys }))
    }
}
