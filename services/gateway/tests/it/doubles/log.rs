//! An audit log to read from.

use std::sync::Arc;

use harombe_proto::audit::v1 as audit;
use harombe_proto::audit::v1::audit_service_server::{AuditService, AuditServiceServer};
use harombe_rpc::{CallerExt as _, GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, Person, ServiceName};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

use super::{Answers, Erasures, deps, stream};

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) seen: Mutex<Vec<Person>>,
}

struct LogGrpc(Arc<Log>);

pub(crate) fn log(
    double: &Arc<Log>,
    erasures: &Arc<Erasures>,
    pki: &TestPki,
    clock: Arc<dyn Clock>,
) -> GrpcChannel {
    let service = AuditServiceServer::new(LogGrpc(Arc::clone(double)));
    let server = Server::builder(ServiceName::Audit, deps(pki, clock))
        .service(service)
        .service(erasures.of_audit())
        .build()
        .unwrap();
    GrpcChannel::local(&server, ServiceName::Gateway)
}

impl LogGrpc {
    fn see<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.0.seen.lock().push(request.person()?);
        Ok(())
    }
}

#[tonic::async_trait]
impl AuditService for LogGrpc {
    type QueryStream = Answers<audit::QueryResponse>;

    async fn append(
        &self,
        _: Request<audit::AppendRequest>,
    ) -> Result<Response<audit::AppendResponse>, Status> {
        panic!("a client wrote to the log")
    }

    async fn append_batch(
        &self,
        _: Request<audit::AppendBatchRequest>,
    ) -> Result<Response<audit::AppendBatchResponse>, Status> {
        panic!("a client wrote to the log")
    }

    async fn query(
        &self,
        request: Request<audit::QueryRequest>,
    ) -> Result<Response<Self::QueryStream>, Status> {
        self.see(&request)?;
        let end = audit::QueryEnd {
            complete_to: request.get_ref().from_index,
            ..Default::default()
        };
        let item = audit::query_response::Item::End(end);
        Ok(stream(vec![Ok(audit::QueryResponse { item: Some(item) })]))
    }

    async fn get_checkpoint(
        &self,
        request: Request<audit::GetCheckpointRequest>,
    ) -> Result<Response<audit::GetCheckpointResponse>, Status> {
        self.see(&request)?;
        let checkpoint = "a note".to_owned();
        Ok(Response::new(audit::GetCheckpointResponse {
            checkpoint,
            ..Default::default()
        }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<audit::GetConsistencyProofRequest>,
    ) -> Result<Response<audit::GetConsistencyProofResponse>, Status> {
        self.see(&request)?;
        let old_size = request.get_ref().old_size;
        Ok(Response::new(audit::GetConsistencyProofResponse {
            old_size,
            ..Default::default()
        }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<audit::GetInclusionProofRequest>,
    ) -> Result<Response<audit::GetInclusionProofResponse>, Status> {
        self.see(&request)?;
        let index = request.get_ref().index;
        Ok(Response::new(audit::GetInclusionProofResponse {
            index,
            ..Default::default()
        }))
    }
}
