//! The call to hitl that spends a grant.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use harombe_error::{Failure, Reason};
use harombe_proto::hitl::v1::RedeemGrantRequest;
use harombe_proto::hitl::v1::authorization_service_client::AuthorizationServiceClient;
use harombe_rpc::{GrpcChannel, RequestExt};
use tonic::Request;

use crate::authority::Redeemer;
use crate::error::Error;

/// hitl records the redemption in the audit log before it answers, for which it may wait 5 s.
const DEADLINE: Duration = Duration::from_secs(8);

/// hitl, as this service sees it.
pub(crate) struct Hitl(pub(crate) GrpcChannel);

#[async_trait]
impl Redeemer for Hitl {
    async fn redeem(&self, grant: &str, digest: &[u8; 32]) -> Result<String, Error> {
        let request = RedeemGrantRequest {
            grant: grant.to_owned(),
            call_digest: Bytes::copy_from_slice(digest),
        };
        let mut client = AuthorizationServiceClient::new(self.0.clone());
        match client
            .redeem_grant(Request::new(request).with_deadline(DEADLINE))
            .await
        {
            Ok(response) => Ok(response.into_inner().lease),
            Err(status) => {
                let failure = Failure::from(status);
                Err(match failure.reason {
                    Reason::Unavailable | Reason::DeadlineExceeded => Error::Hitl,
                    _ => Error::Refused(failure),
                })
            }
        }
    }
}
