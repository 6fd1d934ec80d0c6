//! Hints between the processes that share a schema. They may be lost: whoever acts on them also looks now and then.
//!
//! They are sent after the commit and in groups, because a transaction that notifies holds a lock of the whole
//! database while it is made durable, and all would wait for one another's fsync.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Postgres;

/// Hints that wait to be sent; more are dropped.
const WAITING: usize = 4096;
const AT_ONCE: usize = 256;
/// After so much silence the listening connection is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(20);
/// Before listening is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// A hint that some process sent, this one included.
    Hint(&'a str),
    /// Listening begins now; whatever was sent before was missed.
    Gap,
}

/// Sends hints. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Notifier {
    hints: mpsc::Sender<String>,
}

impl Notifier {
    /// Sends the hint soon, to every process that listens; at most 8000 bytes. Never waits: a hint for which there is no
    /// place is dropped.
    pub(super) fn notify(&self, hint: String) {
        let _ = self.hints.try_send(hint);
    }
}

impl Postgres {
    /// A sender of hints, and the task that does its work until `stop`.
    pub(super) fn notifier(
        &self,
        stop: CancellationToken,
    ) -> (Notifier, impl Future<Output = ()> + Send + use<>) {
        let (hints, waiting) = mpsc::channel(WAITING);
        let postgres = self.clone();
        (Notifier { hints }, async move {
            stop.run_until_cancelled(postgres.send(waiting)).await;
        })
    }

    async fn send(self, mut waiting: mpsc::Receiver<String>) {
        let mut hints = Vec::new();
        while waiting.recv_many(&mut hints, AT_ONCE).await > 0 {
            let sent = sqlx::query("SELECT pg_notify($1, hint) FROM unnest($2::text[]) AS hint")
                .bind(self.schema)
                .bind(std::mem::take(&mut hints))
                .execute(&self.pool)
                .await;
            if let Err(error) = sent {
                tracing::debug!(schema = self.schema, %error, "hints were not sent");
            }
        }
    }

    /// Listens on a connection of its own until `stop`, however often that is lost.
    pub(super) async fn listen(&self, stop: &CancellationToken, mut hear: impl FnMut(Heard<'_>) + Send) {
        loop {
            match stop.run_until_cancelled(self.hear_until_lost(&mut hear)).await {
                None => return,
                Some(Ok(never)) => match never {},
                Some(Err(error)) => {
                    tracing::warn!(schema = self.schema, %error, "hints from other processes are not heard for now");
                }
            }
            if stop
                .run_until_cancelled(tokio::time::sleep(PAUSE))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn hear_until_lost(
        &self,
        hear: &mut (impl FnMut(Heard<'_>) + Send),
    ) -> Result<Infallible, sqlx::Error> {
        // the driver wants a pool; a new one each time, so that a connection which hangs holds no place in it
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.acquire)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with((*self.options).clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(self.schema).await?;
        hear(Heard::Gap);
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(hint))) => hear(Heard::Hint(hint.payload())),
                Ok(Ok(None)) => return Err(lost()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let answered = sqlx::query("SELECT 1").execute(&mut listener);
                    tokio::time::timeout(SILENCE, answered)
                        .await
                        .map_err(|_| lost())??;
                }
            }
        }
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into())
}
