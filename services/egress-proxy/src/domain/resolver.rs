//! What the decision needs of name resolution: all addresses of a name, or the reason why there are none.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::host::DnsName;

/// Every A and AAAA record of a name, and for how long they may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub addresses: Arc<[IpAddr]>,
    pub ttl: Duration,
}

/// Why a name has no usable answer. Each of them denies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("the name has no address")]
    NoAddress { ttl: Duration },
    #[error("the resolver did not answer in time")]
    Timeout,
    #[error("the resolver failed: {0}")]
    Failed(String),
}

/// Resolves exactly the name it is given: no search domains, no hosts file.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// # Errors
    /// Whatever keeps the answer from being complete: half an answer is none.
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError>;
}

#[async_trait]
impl<R: Resolver + ?Sized> Resolver for Arc<R> {
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError> {
        self.as_ref().resolve(name).await
    }
}
