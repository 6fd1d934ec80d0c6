//! What a caller sets on a request beside its message.

use std::time::Duration;

use tonic::Request;
use tonic::metadata::AsciiMetadataValue;

/// Carries the principal token (CONTRACTS §1).
pub const PRINCIPAL_HEADER: &str = "x-harombe-principal";

/// Token and deadline of an outgoing request, and the token of an incoming one.
pub trait RequestExt: Sized {
    /// Calls on behalf of the principal of this token. A text that cannot be in a header is left out, and
    /// the callee answers as it does to a call without a token.
    #[must_use]
    fn with_token(self, token: impl AsRef<str>) -> Self;

    /// Gives the call this long; unary calls that say nothing get 10 s.
    #[must_use]
    fn with_deadline(self, deadline: Duration) -> Self;

    /// The principal token that the call came with, verified by the server stack; to pass a RUN token on.
    fn token(&self) -> Option<&str>;
}

impl<T> RequestExt for Request<T> {
    fn with_token(mut self, token: impl AsRef<str>) -> Self {
        if let Ok(mut value) = AsciiMetadataValue::try_from(token.as_ref()) {
            value.set_sensitive(true);
            self.metadata_mut().insert(PRINCIPAL_HEADER, value);
        }
        self
    }

    fn with_deadline(mut self, deadline: Duration) -> Self {
        self.set_timeout(deadline);
        self
    }

    fn token(&self) -> Option<&str> {
        self.metadata().get(PRINCIPAL_HEADER)?.to_str().ok()
    }
}
