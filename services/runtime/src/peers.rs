//! The services that runtime calls, in plain Rust: everything that knows of gRPC clients is here and in `grpc`.

mod egress;
mod hitl;
mod lease;
mod memory;
mod sandbox;

use harombe_error::{Code, Failure, Reason};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_types::Timestamp;
use tonic::{Request, Status};

pub(crate) use egress::{Answer, Egress, Fetched, SearchResult};
pub(crate) use hitl::{Authorization, Decision, Hitl};
pub(crate) use lease::{Lease, Term};
pub(crate) use memory::{Begun, Claim, Found, Memory, NewTurn, Past};
pub(crate) use sandbox::{Permission, Sandbox};

/// Clients of every service that runtime may call but audit, which it reaches through its trail.
#[derive(Clone)]
pub(crate) struct Peers {
    /// Conversations and journals.
    pub memory: Memory,
    /// Permissions.
    pub hitl: Hitl,
    /// Code and files.
    pub sandbox: Sandbox,
    /// The outside world.
    pub egress: Egress,
}

impl Peers {
    /// Clients over these channels.
    pub(crate) fn new(
        memory: GrpcChannel,
        hitl: GrpcChannel,
        sandbox: GrpcChannel,
        egress: GrpcChannel,
    ) -> Self {
        Self {
            memory: Memory::new(memory),
            hitl: Hitl::new(hitl),
            sandbox: Sandbox::new(sandbox),
            egress: Egress::new(egress),
        }
    }
}

/// True when the peer could not be asked, or did not answer: nothing is known of what it did.
pub(crate) fn is_unreachable(failure: &Failure) -> bool {
    matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded)
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    Request::new(message).with_token(token)
}

/// A status without a reason of its own becomes the one that names the service that could not be reached.
fn failure(status: &Status, unreachable: Reason) -> Failure {
    let mut failure = Failure::from(status);
    if is_unreachable(&failure) && matches!(failure.reason, Reason::Unavailable | Reason::DeadlineExceeded) {
        failure.reason = unreachable;
    }
    failure
}

/// A peer that answered something without meaning.
fn nonsense(what: &str) -> Failure {
    Failure::new(
        Code::Internal,
        Reason::Internal,
        format!("a service answered without {what}"),
    )
}

fn time_or_now(time: Option<prost_types::Timestamp>, now: Timestamp) -> Timestamp {
    time.as_ref().map_or(now, Timestamp::from)
}
