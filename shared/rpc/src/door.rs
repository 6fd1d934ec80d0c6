//! Who may come in: other services by certificate and token, or people by what an authenticator accepts.

use std::sync::Arc;

use async_trait::async_trait;
use harombe_error::{Failure, ServiceError as _};
use harombe_identity::TokenVerifier;
use harombe_types::{Person, Principal, ServiceName, Timestamp};

/// Verifies principal tokens; cheap, called on the call's path.
pub trait Tokens: Send + Sync {
    /// Whom the token speaks for.
    ///
    /// # Errors
    /// The token is not the gateway's, not for this audience, or not valid now.
    fn verify(&self, token: &str, audience: ServiceName, now: Timestamp) -> Result<Principal, Failure>;
}

impl Tokens for TokenVerifier {
    fn verify(&self, token: &str, audience: ServiceName, now: Timestamp) -> Result<Principal, Failure> {
        Self::verify(self, token, audience, now)
            .map_err(|error| Failure::new(error.code(), error.reason(), error.to_string()))
    }
}

/// In the extensions of a request that came from within this process, through [`crate::GrpcChannel::local`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InProcess(pub ServiceName);

/// What a call takes up of whoever makes it, until it is dropped.
pub type Place = Box<dyn Send>;

/// Turns what came with a request at the public door into a person.
///
/// The parts' extensions hold tonic's `UdsConnectInfo` with the peer's credentials when the call came over a
/// unix socket, and [`InProcess`] when it came from within.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// # Errors
    /// Nobody could be established; the failure is sent as it is.
    async fn authenticate(&self, parts: &http::request::Parts) -> Result<Person, Failure>;

    /// A place for the call of somebody who was let in, before anything of its body is read. It is free again when the
    /// handler has answered; of a call that streams, when its answer begins.
    ///
    /// # Errors
    /// They have too many calls in flight; the failure is sent as it is.
    fn place(&self, parts: &http::request::Parts) -> Result<Option<Place>, Failure> {
        let _ = parts;
        Ok(None)
    }
}

/// How a server establishes its callers.
#[derive(Clone)]
pub enum Door {
    /// Services of ours, in process or over mTLS, with principal tokens.
    Internal(Arc<dyn Tokens>),
    /// The gateway's: every caller is `client`, and the authenticator says which person.
    Public(Arc<dyn Authenticator>),
}
