//! A place to stand at a channel: to watch its calls, or to make them fail.

use tonic::Status;

/// Sees each try of a call pass, retries included.
pub trait Tap: Send + Sync {
    /// Before a call of this method (`/package.Service/Method`) is sent. The number is given back to [`after`](Self::after).
    ///
    /// # Errors
    /// The answer that the caller gets instead; the call is not sent.
    fn before(&self, method: &str) -> Result<u64, Status>;

    /// When the answer has come (of a stream: its beginning), before the caller sees it.
    fn after(&self, ticket: u64);
}
