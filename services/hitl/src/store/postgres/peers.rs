//! Hints between the processes that share the schema: a change of a request is one line.

use async_trait::async_trait;
use harombe_sql::Hints;
use harombe_types::{ApprovalId, Tenant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::PostgresStore;
use crate::store::{News, Peers};

/// The other processes on a Postgres schema.
pub(crate) struct PostgresPeers(Hints);

impl PostgresPeers {
    /// Must be called inside a tokio runtime.
    pub(crate) fn of(store: &PostgresStore) -> Self {
        Self(Hints::start(store.postgres().clone()))
    }
}

#[async_trait]
impl Peers for PostgresPeers {
    fn tell(&self, tenant: &Tenant, id: ApprovalId) {
        self.0.tell(format_args!("{id} {tenant}"));
    }

    async fn listen(&self, stop: &CancellationToken, news: mpsc::Sender<News>) {
        self.0.listen(stop, news, read, || News::Missed).await;
    }
}

fn read(hint: &str) -> Option<News> {
    let (id, tenant) = hint.split_once(' ')?;
    Some(News::Of(tenant.parse().ok()?, id.parse().ok()?))
}
