//! What a unary call costs in process, handler excluded: `cargo run --release -p harombe-rpc --example call_cost`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the terminal, run by hand"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use harombe_identity::{CertificateAuthority, TokenVerifier};
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::audit_service_server::{AuditService, AuditServiceServer};
use harombe_proto::audit::v1::{
    AppendBatchRequest, AppendBatchResponse, AppendRequest, AppendResponse, GetCheckpointRequest,
    GetCheckpointResponse, GetConsistencyProofRequest, GetConsistencyProofResponse, GetInclusionProofRequest,
    GetInclusionProofResponse, QueryRequest, QueryResponse,
};
use harombe_rpc::{Deps, Door, GrpcChannel, LogRefusals, Metrics, Server};
use harombe_types::{ServiceName, SystemClock};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

struct Nothing;

#[tonic::async_trait]
impl AuditService for Nothing {
    type QueryStream = Pin<Box<dyn Stream<Item = Result<QueryResponse, Status>> + Send>>;

    async fn append(&self, _: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        Ok(Response::new(AppendResponse::default()))
    }

    async fn append_batch(
        &self,
        _: Request<AppendBatchRequest>,
    ) -> Result<Response<AppendBatchResponse>, Status> {
        Ok(Response::new(AppendBatchResponse::default()))
    }

    async fn query(&self, _: Request<QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn get_checkpoint(
        &self,
        _: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        Ok(Response::new(GetCheckpointResponse::default()))
    }

    async fn get_consistency_proof(
        &self,
        _: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        Ok(Response::new(GetConsistencyProofResponse::default()))
    }

    async fn get_inclusion_proof(
        &self,
        _: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        Ok(Response::new(GetInclusionProofResponse::default()))
    }
}

async fn measure(channel: &GrpcChannel, callers: usize, calls: usize) {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let mut client = AuditServiceClient::new(channel.clone());
            tokio::spawn(async move {
                for _ in 0..calls {
                    client.append(AppendRequest::default()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let total = u32::try_from(callers * calls).unwrap();
    let each = begun.elapsed() / total;
    println!(
        "{callers} callers: {:.0} calls/s, {each:?} each",
        1.0 / each.as_secs_f64()
    );
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let pki = CertificateAuthority::create("cost.test", &SystemClock).unwrap();
    let deps = Deps {
        metrics: Metrics::new(),
        door: Door::Internal(Arc::new(TokenVerifier::new(pki.roots().clone()))),
        clock: Arc::new(SystemClock),
        refusals: Arc::new(LogRefusals),
    };
    let server = Server::builder(ServiceName::Audit, deps)
        .service(AuditServiceServer::new(Nothing))
        .build()
        .unwrap();
    let channel = GrpcChannel::local(&server, ServiceName::Hitl);
    for (callers, calls) in [(1, 50_000), (1, 100_000), (256, 2000)] {
        measure(&channel, callers, calls).await;
    }
}
