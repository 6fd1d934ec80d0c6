//! Hints between the processes that share the schema: that a run's journal has grown is one line.

use async_trait::async_trait;
use harombe_sql::{Hints, Postgres};
use harombe_types::{RunId, Tenant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{PostgresStore, runs};
use crate::domain::Position;
use crate::error::Error;
use crate::store::{News, Peers};

/// The other processes on a Postgres schema.
pub(crate) struct PostgresPeers {
    postgres: Postgres,
    hints: Hints,
}

impl PostgresPeers {
    /// Must be called inside a tokio runtime.
    pub(crate) fn of(store: &PostgresStore) -> Self {
        Self {
            postgres: store.postgres.clone(),
            hints: Hints::start(store.postgres.clone()),
        }
    }
}

#[async_trait]
impl Peers for PostgresPeers {
    fn tell(&self, run: RunId) {
        self.hints.tell(run);
    }

    async fn listen(&self, stop: &CancellationToken, news: mpsc::Sender<News>) {
        let read = |hint: &str| hint.parse().ok().map(News::Of);
        self.hints.listen(stop, news, read, || News::Missed).await;
    }

    async fn positions(&self, runs: Vec<(Tenant, RunId)>) -> Result<Vec<(RunId, Position)>, Error> {
        super::at_once(&self.postgres, move |connection| {
            let runs = runs.clone();
            Box::pin(async move { runs::positions(connection, &runs).await })
        })
        .await
    }
}
