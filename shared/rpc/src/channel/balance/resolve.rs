//! From names to addresses, again and again: instances come and go.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::instance::Instance;
use super::table::Table;
use crate::TlsError;
use crate::channel::dial::MutualTls;

const LOOKUP: Duration = Duration::from_secs(5);
/// The shortest time between two lookups.
const PAUSE: Duration = Duration::from_secs(1);

/// Where addresses come from.
pub(super) trait Names: Send + Sync + 'static {
    fn lookup(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The machine's own resolver: its hosts file and its DNS servers.
pub(super) struct System;

impl Names for System {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// A `host:port` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Address(SocketAddr),
    Name(Arc<str>, u16),
}

impl Target {
    pub(super) fn parse_all(targets: &[String]) -> Result<Vec<Self>, TlsError> {
        if targets.is_empty() {
            return Err(TlsError::NoTargets);
        }
        targets.iter().map(|target| Self::parse(target)).collect()
    }

    fn parse(text: &str) -> Result<Self, TlsError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let bad = || TlsError::Target(text.chars().take(256).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let port = port.parse().ok().filter(|port| *port != 0);
        match port {
            Some(port) if !host.is_empty() && host.chars().all(is_name) => Ok(Self::Name(host.into(), port)),
            _ => Err(bad()),
        }
    }
}

pub(super) struct Resolver<R> {
    targets: Vec<Lookup>,
    names: R,
    every: Duration,
}

struct Lookup {
    target: Target,
    /// What it last stood for: a name that cannot be looked up now has not moved.
    found: BTreeSet<SocketAddr>,
    failing: bool,
}

impl<R: Names> Resolver<R> {
    pub(super) fn new(targets: Vec<Target>, names: R, every: Duration) -> Self {
        Self {
            targets: targets.into_iter().map(Lookup::new).collect(),
            names,
            every: every.max(PAUSE),
        }
    }

    /// Keeps the table's instances those that the targets stand for.
    pub(super) async fn run(mut self, table: Arc<Table>, tls: MutualTls, stop: CancellationToken) {
        loop {
            let found_all = self.look().await;
            let addresses = self
                .targets
                .iter()
                .flat_map(|lookup| &lookup.found)
                .copied()
                .collect();
            let make = |address: SocketAddr| {
                let channel = tls.channel(address.ip().to_string().into(), address.port());
                Instance::new(address, channel, stop.child_token())
            };
            for instance in table.replace(&addresses, make) {
                tokio::spawn(instance.watch(Arc::clone(&table)));
            }
            tokio::time::sleep(PAUSE).await;
            let rest = if found_all { self.every } else { PAUSE } - PAUSE;
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = table.missed() => {}
            }
        }
    }

    /// Looks every target up; whether all were found.
    async fn look(&mut self) -> bool {
        let mut found_all = true;
        for lookup in &mut self.targets {
            lookup.look(&self.names).await;
            found_all &= !lookup.failing;
        }
        found_all
    }
}

impl Lookup {
    fn new(target: Target) -> Self {
        Self {
            target,
            found: BTreeSet::new(),
            failing: false,
        }
    }

    async fn look(&mut self, names: &impl Names) {
        let (host, port) = match &self.target {
            Target::Address(address) => {
                self.found.insert(*address);
                return;
            }
            Target::Name(host, port) => (&**host, *port),
        };
        let looked = tokio::time::timeout(LOOKUP, names.lookup(host, port)).await;
        let looked = looked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let error = match looked {
            Ok(addresses) if !addresses.is_empty() => {
                self.found = addresses.into_iter().collect();
                self.failing = false;
                return;
            }
            Ok(_) => io::ErrorKind::NotFound.into(),
            Err(error) => error,
        };
        // Once, not at every try.
        if !self.failing {
            tracing::warn!(host, %error, "a name cannot be looked up; its last addresses stay in use");
        }
        self.failing = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Target) {
        assert_eq!(Target::parse(text).ok().as_ref(), Some(expected), "{text:?}");
    }

    #[test]
    fn targets_are_addresses_or_names_with_ports() {
        let name = |host: &str, port| Target::Name(host.into(), port);
        check("127.0.0.1:7402", &Target::Address(([127, 0, 0, 1], 7402).into()));
        check("[::1]:7402", &Target::Address("[::1]:7402".parse().unwrap()));
        check("memory.harombe.svc:7402", &name("memory.harombe.svc", 7402));
        check("memory_1:1", &name("memory_1", 1));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in [
            "",
            "memory",
            ":7402",
            "memory:",
            "memory:0",
            "memory:65536",
            "https://memory:1",
            "a b:1",
            "::1:7402",
        ] {
            assert!(matches!(Target::parse(bad), Err(TlsError::Target(_))), "{bad:?}");
        }
        assert!(matches!(Target::parse_all(&[]), Err(TlsError::NoTargets)));
    }
}
