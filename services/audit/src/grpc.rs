//! `harombe.audit.v1.AuditService`: decodes, asks the log, encodes. Services write; people with a role read, and only
//! what is their tenant's.

mod convert;
mod erasure;

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};
use harombe_error::to_status;
use harombe_proto::audit::v1::audit_service_server::AuditService;
use harombe_proto::audit::v1::{
    AppendBatchRequest, AppendBatchResponse, AppendRequest, AppendResponse, GetCheckpointRequest,
    GetCheckpointResponse, GetConsistencyProofRequest, GetConsistencyProofResponse, GetInclusionProofRequest,
    GetInclusionProofResponse, QueryEnd, QueryRequest, QueryResponse, query_response,
};
use harombe_rpc::CallerExt as _;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::log::{Log, Opener};
pub(crate) use erasure::ErasureHandler;

/// The handler.
pub(crate) struct Handler {
    log: Arc<Log>,
}

impl Handler {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }
}

#[tonic::async_trait]
impl AuditService for Handler {
    type QueryStream = Pin<Box<dyn Stream<Item = Result<QueryResponse, Status>> + Send>>;

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let service = request.caller()?.service;
        let event = request
            .into_inner()
            .event
            .ok_or(Error::Invalid("event is missing"))
            .map_err(refused)?;
        let event = convert::event(event, service).map_err(refused)?;
        let appended = self.log.append(service, vec![event]).await.map_err(refused)?;
        let index = appended
            .indexes
            .first()
            .copied()
            .ok_or_else(|| refused(Error::Damaged("no index".to_owned())))?;
        Ok(Response::new(AppendResponse { index }))
    }

    async fn append_batch(
        &self,
        request: Request<AppendBatchRequest>,
    ) -> Result<Response<AppendBatchResponse>, Status> {
        let service = request.caller()?.service;
        let events = request.into_inner().events.into_iter();
        let events = events
            .map(|event| convert::event(event, service))
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        let appended = self.log.append(service, events).await.map_err(refused)?;
        Ok(Response::new(AppendBatchResponse {
            indexes: appended.indexes,
            recorded_before: appended.recorded_before,
        }))
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let tenant = request.person()?.tenant;
        let query = request.into_inner();
        let (from, limit) = (query.from_index, query.limit);
        let filter = convert::filter(query, tenant).map_err(refused)?;
        let found = self.log.find(&filter, from, limit).await.map_err(refused)?;
        let end = QueryEnd {
            complete_to: found.complete_to,
            log_size: found.log_size,
            next_index: found.next,
        };
        let log = Arc::clone(&self.log);
        let reading = Arc::new((Opener::default(), filter));
        let entries = stream::iter(found.indexes).filter_map(move |index| {
            let (log, reading) = (Arc::clone(&log), Arc::clone(&reading));
            async move {
                let (opener, filter) = &*reading;
                let entry = log.matching(opener, filter, index).await;
                let entry = entry.map_err(refused).transpose()?;
                Some(entry.map(|entry| QueryResponse {
                    item: Some(query_response::Item::Entry(convert::entry(entry))),
                }))
            }
        });
        let end = stream::iter([Ok(QueryResponse {
            item: Some(query_response::Item::End(end)),
        })]);
        Ok(Response::new(Box::pin(entries.chain(end))))
    }

    async fn get_checkpoint(
        &self,
        _request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let checkpoint = self.log.head().await.map_err(refused)?.note().to_owned();
        let verifier_key = self.log.store().verifier_key().to_owned();
        Ok(Response::new(GetCheckpointResponse {
            checkpoint,
            verifier_key,
        }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        let tenant = request.person()?.tenant;
        let GetInclusionProofRequest { index, tree_size } = request.into_inner();
        let proof = self
            .log
            .prove(tenant.as_str(), index, tree_size)
            .await
            .map_err(refused)?;
        Ok(Response::new(convert::inclusion(index, proof)))
    }

    /// Sizes and hashes of the tree say nothing of any tenant.
    async fn get_consistency_proof(
        &self,
        request: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        let GetConsistencyProofRequest { old_size, new_size } = request.into_inner();
        let proof = self
            .log
            .prove_consistency(old_size, new_size)
            .await
            .map_err(refused)?;
        Ok(Response::new(convert::consistency(old_size, proof)))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn refused(error: Error) -> Status {
    to_status(&error)
}
