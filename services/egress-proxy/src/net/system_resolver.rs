//! Resolves through the machine's configured DNS servers, and through nothing else on the machine.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::domain::host::DnsName;
use crate::domain::resolver::{Answer, ResolveError, Resolver};

/// How long all tries for one name may take together.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long absence is believed when the zone does not say.
const DEFAULT_NEGATIVE: Duration = Duration::from_secs(10);

/// A resolver over `/etc/resolv.conf`, with neither hosts file nor search domains. The file is read at the first
/// look-up that finds it usable: a machine without one can start, and resolves nothing.
#[derive(Default)]
pub struct SystemResolver(OnceCell<TokioResolver>);

impl SystemResolver {
    async fn resolver(&self) -> Result<&TokioResolver, ResolveError> {
        let read = || async { build(TokioResolver::builder_tokio().map_err(failed)?) };
        self.0.get_or_try_init(read).await
    }

    /// The addresses of one record type and when they expire. A name that lacks the type has none.
    async fn lookup(resolver: &TokioResolver, name: Name, kind: RecordType) -> Result<Found, NetError> {
        match resolver.lookup(name, kind).await {
            Ok(lookup) => {
                let address = |data: &RData| match data {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                    _ => None,
                };
                let addresses = lookup
                    .answers()
                    .iter()
                    .filter_map(|record| address(&record.data))
                    .collect();
                Ok(Found {
                    addresses,
                    ttl: lookup.valid_until().saturating_duration_since(Instant::now()),
                })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(absent))) => {
                let ttl = absent
                    .negative_ttl
                    .map_or(DEFAULT_NEGATIVE, |seconds| Duration::from_secs(seconds.into()));
                Ok(Found {
                    addresses: Vec::new(),
                    ttl,
                })
            }
            Err(error) => Err(error),
        }
    }
}

fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, ResolveError> {
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = Duration::from_secs(2);
    // Answers are cached once, by the layer above.
    options.cache_size = 0;
    builder.build().map_err(failed)
}

fn failed(error: NetError) -> ResolveError {
    match error {
        NetError::Timeout => ResolveError::Timeout,
        other => ResolveError::Failed(other.to_string()),
    }
}

struct Found {
    addresses: Vec<IpAddr>,
    ttl: Duration,
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError> {
        // The final dot makes the name absolute: no search domain is ever appended.
        let name = Name::from_ascii(format!("{name}.")).map_err(|e| ResolveError::Failed(e.to_string()))?;
        let resolver = self.resolver().await?;
        let both = async {
            tokio::try_join!(
                Self::lookup(resolver, name.clone(), RecordType::A),
                Self::lookup(resolver, name, RecordType::AAAA)
            )
        };
        let (v4, v6) = timeout(DEADLINE, both)
            .await
            .map_err(|_| ResolveError::Timeout)?
            .map_err(failed)?;
        let ttl = v4.ttl.min(v6.ttl);
        let addresses: Vec<IpAddr> = v4.addresses.into_iter().chain(v6.addresses).collect();
        if addresses.is_empty() {
            return Err(ResolveError::NoAddress { ttl });
        }
        Ok(Answer {
            addresses: addresses.into(),
            ttl,
        })
    }
}

#[cfg(test)]
mod tests;
