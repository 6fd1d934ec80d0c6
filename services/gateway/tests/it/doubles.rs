//! Stand-ins for the services that the gateway passes calls on to. They are served by the real stack, so a call without
//! the right caller and token does not reach them.

mod erasures;
mod hitl;
mod log;
mod runtime;

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use harombe_error::{Code, Failure, Reason};
use harombe_rpc::{Deps, LogRefusals};
use harombe_testkit::TestPki;
use harombe_types::Clock;
use tonic::{Response, Status};

pub(crate) use erasures::{Erased, Erasures, memory};
pub(crate) use hitl::{Hitl, hitl};
pub(crate) use log::{Log, log};
pub(crate) use runtime::{Runtime, runtime};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn stream<T: Send + 'static>(items: Vec<Result<T, Status>>) -> Response<Answers<T>> {
    Response::new(Box::pin(futures_util::stream::iter(items)))
}

pub(crate) fn unavailable() -> Status {
    Failure::new(Code::Unavailable, Reason::Unavailable, "gone").to_status()
}

fn deps(pki: &TestPki, clock: Arc<dyn Clock>) -> Deps {
    Deps {
        metrics: harombe_rpc::Metrics::new(),
        door: pki.door(),
        clock,
        refusals: Arc::new(LogRefusals),
    }
}
