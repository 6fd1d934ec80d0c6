//! The seam between two services: every call of one to another goes through a channel that is made here.

use harombe_rpc::GrpcChannel;
use harombe_types::ServiceName;

/// May put something around a channel, such as a fault.
pub trait Wire: std::fmt::Debug + Send + Sync {
    /// The channel by which `from` calls `to`.
    fn connect(&self, from: ServiceName, to: ServiceName, channel: GrpcChannel) -> GrpcChannel;
}

/// Nothing in between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

impl Wire for Direct {
    fn connect(&self, _from: ServiceName, _to: ServiceName, channel: GrpcChannel) -> GrpcChannel {
        channel
    }
}
