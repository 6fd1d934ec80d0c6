//! `ErasureService`.

use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::erasure_service_server::ErasureService;
use harombe_rpc::CallerExt as _;
use harombe_types::InvalidName;
use tonic::{Request, Response, Status, async_trait};

use super::convert::invalid;
use crate::domain::Erasures;

pub(crate) struct ErasureGrpc(pub(crate) Erasures);

#[async_trait]
impl ErasureService for ErasureGrpc {
    async fn erase_person(
        &self,
        request: Request<pb::ErasePersonRequest>,
    ) -> Result<Response<pb::ErasePersonResponse>, Status> {
        let admin = request.person()?;
        let subject = request
            .get_ref()
            .subject
            .parse()
            .map_err(|error: InvalidName| invalid(error.to_string()))?;
        let erased = self.0.erase(&admin, subject).await?;
        Ok(Response::new(erased.into()))
    }
}
