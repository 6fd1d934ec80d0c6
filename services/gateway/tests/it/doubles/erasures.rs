//! What memory, hitl and audit erase of people: whatever a test says.

use std::collections::VecDeque;
use std::sync::Arc;

use harombe_error::Failure;
use harombe_proto::audit::v1 as audit;
use harombe_proto::audit::v1::erasure_service_server as of_audit;
use harombe_proto::hitl::v1 as hitl;
use harombe_proto::hitl::v1::erasure_service_server as of_hitl;
use harombe_proto::memory::v1 as memory;
use harombe_proto::memory::v1::erasure_service_server as of_memory;
use harombe_rpc::{CallerExt as _, GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, Person, ServiceName};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

use super::deps;

/// One answer of a service.
#[derive(Clone)]
pub(crate) enum Erased {
    Memory(memory::ErasePersonResponse),
    Approvals(hitl::ErasePersonResponse),
    DataKeys(u64),
    Refused(Failure),
    /// As [`Erased::Memory`], and from then on the time of day is nobody's business.
    Timeless(memory::ErasePersonResponse),
}

/// Answers in the order in which they are said; when all were given, that nothing is left.
#[derive(Default)]
pub(crate) struct Erasures {
    /// Which service was asked to erase whom, and by whom.
    pub(crate) asked: Mutex<Vec<(ServiceName, String, Person)>>,
    answers: Mutex<VecDeque<Erased>>,
}

impl Erasures {
    pub(crate) fn say(&self, answers: impl IntoIterator<Item = Erased>) {
        self.answers.lock().extend(answers);
    }

    /// The services that were asked, in order.
    pub(crate) fn services(&self) -> Vec<ServiceName> {
        let asked = self.asked.lock();
        asked.iter().map(|(service, ..)| *service).collect()
    }

    pub(crate) fn of_hitl(self: &Arc<Self>) -> of_hitl::ErasureServiceServer<Shared> {
        of_hitl::ErasureServiceServer::new(Shared(Arc::clone(self)))
    }

    pub(crate) fn of_audit(self: &Arc<Self>) -> of_audit::ErasureServiceServer<Shared> {
        of_audit::ErasureServiceServer::new(Shared(Arc::clone(self)))
    }

    fn next(&self, service: ServiceName, subject: &str, by: Person) -> Option<Erased> {
        self.asked.lock().push((service, subject.to_owned(), by));
        self.answers.lock().pop_front()
    }
}

/// A memory that can do nothing else.
pub(crate) fn memory(double: &Arc<Erasures>, pki: &TestPki, clock: Arc<dyn Clock>) -> GrpcChannel {
    let service = of_memory::ErasureServiceServer::new(Shared(Arc::clone(double)));
    let server = Server::builder(ServiceName::Memory, deps(pki, clock))
        .service(service)
        .build()
        .unwrap();
    GrpcChannel::local(&server, ServiceName::Gateway)
}

pub(crate) struct Shared(Arc<Erasures>);

#[tonic::async_trait]
impl of_memory::ErasureService for Shared {
    async fn erase_person(
        &self,
        request: Request<memory::ErasePersonRequest>,
    ) -> Result<Response<memory::ErasePersonResponse>, Status> {
        let by = request.person()?;
        let subject = request.into_inner().subject;
        match self.0.next(ServiceName::Memory, &subject, by) {
            None => Ok(Response::new(Default::default())),
            Some(Erased::Memory(erased)) => Ok(Response::new(erased)),
            Some(Erased::Timeless(erased)) => {
                tokio::time::pause();
                Ok(Response::new(erased))
            }
            Some(Erased::Refused(failure)) => Err(failure.to_status()),
            Some(Erased::Approvals(_) | Erased::DataKeys(_)) => panic!("memory was asked out of turn"),
        }
    }
}

#[tonic::async_trait]
impl of_hitl::ErasureService for Shared {
    async fn erase_person(
        &self,
        request: Request<hitl::ErasePersonRequest>,
    ) -> Result<Response<hitl::ErasePersonResponse>, Status> {
        let by = request.person()?;
        let subject = request.into_inner().subject;
        match self.0.next(ServiceName::Hitl, &subject, by) {
            None => Ok(Response::new(Default::default())),
            Some(Erased::Approvals(erased)) => Ok(Response::new(erased)),
            Some(Erased::Refused(failure)) => Err(failure.to_status()),
            Some(_) => panic!("hitl was asked out of turn"),
        }
    }
}

#[tonic::async_trait]
impl of_audit::ErasureService for Shared {
    async fn erase_person(
        &self,
        request: Request<audit::ErasePersonRequest>,
    ) -> Result<Response<audit::ErasePersonResponse>, Status> {
        let by = request.person()?;
        let subject = request.into_inner().subject;
        match self.0.next(ServiceName::Audit, &subject, by) {
            None => Ok(Response::new(Default::default())),
            Some(Erased::DataKeys(data_keys)) => Ok(Response::new(audit::ErasePersonResponse { data_keys })),
            Some(Erased::Refused(failure)) => Err(failure.to_status()),
            Some(_) => panic!("audit was asked out of turn"),
        }
    }
}
