//! Hints between the processes that share the schema: that a run's journal has grown is one line.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use async_trait::async_trait;
use harombe_sql::{Heard, Notifier, Postgres};
use harombe_types::{RunId, Tenant};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{PostgresStore, runs};
use crate::domain::Position;
use crate::error::Error;
use crate::store::{News, Peers};

/// The other processes on a Postgres schema.
pub(crate) struct PostgresPeers {
    postgres: Postgres,
    notifier: Notifier,
    /// Tells our own hints, which come back to us, from others'.
    own: u64,
    _sending: DropGuard,
}

impl PostgresPeers {
    /// Must be called inside a tokio runtime.
    pub(crate) fn of(store: &PostgresStore) -> Self {
        let postgres = store.postgres.clone();
        let stop = CancellationToken::new();
        let (notifier, sending) = postgres.notifier(stop.clone());
        tokio::spawn(sending);
        Self {
            postgres,
            notifier,
            own: RandomState::new().build_hasher().finish(),
            _sending: stop.drop_guard(),
        }
    }

    /// What a hint says, unless it is our own or none that this version understands.
    fn read(&self, hint: &str) -> Option<News> {
        let (sender, run) = hint.split_once(' ')?;
        let sender: u64 = sender.parse().ok()?;
        let run = run.parse().ok()?;
        (sender != self.own).then_some(News::Of(run))
    }
}

#[async_trait]
impl Peers for PostgresPeers {
    fn tell(&self, run: RunId) {
        self.notifier.notify(format!("{} {run}", self.own));
    }

    async fn listen(&self, stop: &CancellationToken, news: mpsc::Sender<News>) {
        let hear = |heard: Heard<'_>| {
            let heard = match heard {
                Heard::Hint(hint) => self.read(hint),
                Heard::Gap => Some(News::Missed),
            };
            if let Some(heard) = heard {
                // what finds no place is found by looking
                let _ = news.try_send(heard);
            }
        };
        self.postgres.listen(stop, hear).await;
    }

    async fn positions(&self, runs: Vec<(Tenant, RunId)>) -> Result<Vec<(RunId, Position)>, Error> {
        super::at_once(&self.postgres, move |connection| {
            let runs = runs.clone();
            Box::pin(async move { runs::positions(connection, &runs).await })
        })
        .await
    }
}
