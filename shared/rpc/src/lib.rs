//! The one way in which services talk: a server stack and a client channel that behave the same in process and over mTLS.
//!
//! ```text
//! client   GrpcChannel: default deadline → retry (only what may be repeated) → in process | TLS (one or balanced) | unix socket
//! server   trace → identity → authorisation → deadline → panics caught → detached handler
//! ```
//!
//! Invariants: who calls comes from the channel (a layer in process, the verified certificate over TLS), never from a
//! header; a method without an auth option cannot be served; a dropped client does not cancel a unary handler.

mod caller;
mod channel;
mod door;
mod methods;
mod ops;
mod refusals;
mod request;
mod server;
mod tasks;
mod timeout;
mod tls;
mod trace;

pub use caller::{Caller, CallerExt};
pub use channel::{Balanced, GrpcChannel, Public, Remote, Tap};
pub use door::{Authenticator, Door, InProcess, Place, Tokens};
pub use harombe_telemetry::{Metrics, TraceContext};
pub use methods::MethodsError;
pub use ops::serve_ops;
pub use refusals::{LogRefusals, Refusals};
pub use request::{PRINCIPAL_HEADER, RequestExt};
pub use server::{
    BuildError, Deps, MAX_HANDLERS, PeerAddr, PublicLimits, ServeError, Server, ServerBuilder, serve_public,
};
pub use tasks::TaskSet;
pub use tls::{TlsError, public_tls};

/// The largest message that either side takes, in bytes (tonic's default for decoding, on both paths).
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
