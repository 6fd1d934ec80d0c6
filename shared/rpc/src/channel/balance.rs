//! One channel to all instances of a service: found by name or list, watched by their health, called in turn.

mod instance;
mod resolve;
mod table;

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::ServiceIdentity;
use harombe_types::ServiceName;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::body::Body;

use super::dial::MutualTls;
use super::{Call, lost, over_network};
use crate::TlsError;
use instance::Instance;
use resolve::{Resolver, System, Target};
use table::Table;

/// How long a call waits while no instance wants it: the time in which a service that restarts is back.
const PATIENCE: Duration = Duration::from_secs(2);
/// Calls that may wait at once; any more are told at once that nobody is there.
const MAX_WAITING: usize = 1024;

/// A service that runs at several addresses, all as good as each other.
#[derive(Clone, Debug)]
pub struct Balanced {
    /// `host:port` each. A host name is looked up again and again, and stands for all its addresses.
    pub targets: Vec<String>,
    /// Who calls.
    pub identity: ServiceIdentity,
    /// Whose certificate must be at the other end, whatever the address is.
    pub server: ServiceName,
    /// How often names are looked up; sooner (but at most once a second) when an instance was lost.
    pub resolve_every: Duration,
}

/// The instances, and what keeps watch over them.
pub(super) struct Balance {
    to: Arc<str>,
    table: Arc<Table>,
    waiting: Semaphore,
    /// Ends the watch with the last clone of the channel.
    _stop: DropGuard,
}

impl Balance {
    pub(super) fn start(balanced: &Balanced) -> Result<Self, TlsError> {
        let targets = Target::parse_all(&balanced.targets)?;
        let tls = MutualTls::new(&balanced.identity, balanced.server)?;
        let to: Arc<str> = balanced.server.as_str().into();
        Ok(Self::over(to, targets, System, tls, balanced.resolve_every))
    }

    fn over<R>(to: Arc<str>, targets: Vec<Target>, names: R, tls: MutualTls, every: Duration) -> Self
    where
        R: resolve::Names,
    {
        let stop = CancellationToken::new();
        let table = Arc::new(Table::new(Arc::clone(&to)));
        let resolver = Resolver::new(targets, names, every);
        let run = resolver.run(Arc::clone(&table), tls, stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(run));
        Self {
            to,
            table,
            waiting: Semaphore::new(MAX_WAITING),
            _stop: stop.drop_guard(),
        }
    }

    pub(super) async fn send(&self, call: &Call, request: Request<Body>) -> Result<Response<Body>, Status> {
        let instance = self.pick(call.deadline).await?;
        let channel = instance.channel().clone();
        let answered = over_network(channel, &self.to, call, request).await;
        // What an instance answers is a response; this is its connection.
        if let Err(status) = &answered
            && status.code() == tonic::Code::Unavailable
        {
            self.table.lost(&instance);
        }
        answered
    }

    async fn pick(&self, deadline: Option<Instant>) -> Result<Arc<Instance>, Status> {
        if let Some(instance) = self.table.next() {
            return Ok(instance);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(crowded(&self.to));
        };
        let patience = Instant::now() + PATIENCE;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        match tokio::time::timeout_at(until, self.table.wait()).await {
            Ok(Some(instance)) => Ok(instance),
            _ => Err(lost(&self.to)),
        }
    }
}

fn crowded(to: &str) -> Status {
    Failure::new(
        Code::Unavailable,
        Reason::Unavailable,
        format!("{to} cannot be reached, and too many calls wait for it"),
    )
    .to_status()
}

#[cfg(test)]
mod tests;
