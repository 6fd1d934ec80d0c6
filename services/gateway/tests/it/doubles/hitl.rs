//! Approvals that are always the same.

use std::sync::Arc;

use harombe_error::Failure;
use harombe_proto::hitl::v1 as hitl;
use harombe_proto::hitl::v1::approval_service_server::{ApprovalService, ApprovalServiceServer};
use harombe_rpc::{CallerExt as _, GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, Person, ServiceName};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

use super::{Answers, Erasures, deps, stream, unavailable};

/// Records who asks; can be told to fail.
#[derive(Default)]
pub(crate) struct Hitl {
    pub(crate) seen: Mutex<Vec<Person>>,
    pub(crate) failure: Mutex<Option<Failure>>,
}

struct HitlGrpc(Arc<Hitl>);

pub(crate) fn hitl(
    double: &Arc<Hitl>,
    erasures: &Arc<Erasures>,
    pki: &TestPki,
    clock: Arc<dyn Clock>,
) -> GrpcChannel {
    let service = ApprovalServiceServer::new(HitlGrpc(Arc::clone(double)));
    let server = Server::builder(ServiceName::Hitl, deps(pki, clock))
        .service(service)
        .service(erasures.of_hitl())
        .build()
        .unwrap();
    GrpcChannel::local(&server, ServiceName::Gateway)
}

impl HitlGrpc {
    fn see<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.0.seen.lock().push(request.person()?);
        match &*self.0.failure.lock() {
            Some(failure) => Err(failure.to_status()),
            None => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl ApprovalService for HitlGrpc {
    type WatchStream = Answers<hitl::WatchResponse>;

    async fn list(
        &self,
        request: Request<hitl::ListRequest>,
    ) -> Result<Response<hitl::ListResponse>, Status> {
        self.see(&request)?;
        Ok(Response::new(hitl::ListResponse {
            approvals: vec![hitl::Approval::default()],
            ..Default::default()
        }))
    }

    async fn watch(
        &self,
        request: Request<hitl::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.see(&request)?;
        Ok(stream(vec![
            Ok(hitl::WatchResponse::default()),
            Err(unavailable()),
        ]))
    }

    async fn decide(
        &self,
        request: Request<hitl::DecideRequest>,
    ) -> Result<Response<hitl::DecideResponse>, Status> {
        self.see(&request)?;
        let hitl::DecideRequest {
            approval_id,
            decision,
            unattended,
            comment,
        } = request.into_inner();
        let approval = hitl::Approval {
            approval_id,
            decision,
            unattended,
            comment,
            ..Default::default()
        };
        Ok(Response::new(hitl::DecideResponse {
            approval: Some(approval),
        }))
    }
}
