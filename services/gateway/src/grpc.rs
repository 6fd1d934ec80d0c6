//! The public interface: decode, ask the service that knows, encode.

mod agent;
mod approvals;
mod convert;
mod erasure;
mod files;
mod follow;
mod keys;
mod log;
mod memories;
mod people;
mod visitor;
mod workspaces;

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tonic::{Response, Status, Streaming};

use crate::peers::{Peer, passed_on};

pub(crate) use agent::AgentGrpc;
pub(crate) use approvals::ApprovalGrpc;
pub(crate) use keys::KeyGrpc;
pub(crate) use log::LogGrpc;
pub(crate) use memories::MemoryGrpc;
pub(crate) use people::PeopleGrpc;
pub(crate) use visitor::Visitor;
pub(crate) use workspaces::Workspaces;

/// A response that goes on for as long as there is something to say.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A peer's stream, message by message as it comes.
fn forwarded<T, U>(
    peer: Peer,
    stream: Streaming<T>,
    convert: impl Fn(T) -> U + Send + 'static,
) -> Response<Answers<U>>
where
    T: Send + 'static,
    U: 'static,
{
    let answers = stream.map(move |item| match item {
        Ok(message) => Ok(convert(message)),
        Err(status) => Err(passed_on(peer, &status)),
    });
    Response::new(Box::pin(answers))
}
