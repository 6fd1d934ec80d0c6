//! One instance of a service, and the watch over its health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::table::Table;
use crate::channel::retry::jittered;

/// For the connection and the first word about its health.
const FIRST_WORD: Duration = Duration::from_secs(6);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// An instance that served for so long does not come and go.
const STEADY: Duration = Duration::from_secs(1);

pub(super) struct Instance {
    address: SocketAddr,
    channel: Channel,
    look: Notify,
    gone: CancellationToken,
}

impl Instance {
    pub(super) fn new(address: SocketAddr, channel: Channel, gone: CancellationToken) -> Self {
        Self {
            address,
            channel,
            look: Notify::new(),
            gone,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Asks the watch to begin anew.
    pub(super) fn look_again(&self) {
        self.look.notify_one();
    }

    /// Ends the watch: nobody says any more that the instance is there.
    pub(super) fn dismiss(&self) {
        self.gone.cancel();
    }

    /// Watches the health for as long as the instance is known, and tells the table. The only one that dials again and
    /// again, so that calls to a service that is away cost nothing.
    pub(super) async fn watch(self: Arc<Self>, table: Arc<Table>) {
        let gone = self.gone.clone();
        let watch = async {
            let mut wait = FIRST_WAIT;
            loop {
                let begun = Instant::now();
                let served = self.follow(&table).await;
                table.set(&self, false);
                if served {
                    table.miss();
                    wait = FIRST_WAIT;
                    // Most often only the connection was lost: a short break is not worth a wait.
                    if begun.elapsed() > STEADY {
                        continue;
                    }
                }
                tokio::time::sleep(jittered(wait)).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        };
        gone.run_until_cancelled(watch).await;
    }

    /// Follows the health until the instance is lost; whether it wanted calls in that time.
    async fn follow(self: &Arc<Self>, table: &Table) -> bool {
        let mut client = HealthClient::new(self.channel.clone());
        let asked = tokio::time::timeout(FIRST_WORD, async {
            let mut states = client.watch(HealthCheckRequest::default()).await?.into_inner();
            let first = states.message().await?;
            Ok((states, first))
        });
        let (mut states, first) = match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(status)) => return self.follow_blindly(table, &status).await,
            Err(_) => {
                tracing::debug!(address = %self.address, "an instance does not answer");
                return false;
            }
        };
        // What was said of an earlier connection does not count for this one.
        let _ = self.look.notified().now_or_never();
        let (mut state, mut served) = (first, false);
        while let Some(now) = state {
            let serving = now.status() == ServingStatus::Serving;
            served |= serving;
            table.set(self, serving);
            state = tokio::select! {
                next = states.message() => next.ok().flatten(),
                () = self.look.notified() => None,
            };
        }
        served
    }

    /// A server without health serves for as long as its connection does.
    async fn follow_blindly(self: &Arc<Self>, table: &Table, status: &tonic::Status) -> bool {
        if status.code() != Code::Unimplemented {
            tracing::debug!(address = %self.address, %status, "an instance cannot be reached");
            return false;
        }
        table.set(self, true);
        self.look.notified().await;
        true
    }
}
