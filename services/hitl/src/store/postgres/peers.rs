//! Hints between the processes that share the schema: a change of a request is one line.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use async_trait::async_trait;
use harombe_sql::{Heard, Notifier, Postgres};
use harombe_types::{ApprovalId, Tenant};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::PostgresStore;
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
        let postgres = store.postgres().clone();
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
        let mut words = hint.splitn(3, ' ');
        let sender: u64 = words.next()?.parse().ok()?;
        let id = words.next()?.parse().ok()?;
        let tenant = words.next()?.parse().ok()?;
        (sender != self.own).then_some(News::Of(tenant, id))
    }
}

#[async_trait]
impl Peers for PostgresPeers {
    fn tell(&self, tenant: &Tenant, id: ApprovalId) {
        self.notifier.notify(format!("{} {id} {tenant}", self.own));
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
}
