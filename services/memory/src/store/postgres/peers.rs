//! Hints between the processes that share the schema: that a run's journal has grown is one line.

use async_trait::async_trait;
use harombe_sql::pg::PgConnection;
use harombe_sql::{Hints, Postgres};
use harombe_types::{RunId, Tenant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{PostgresStore, Unit, runs};
use crate::domain::{Owner, Position};
use crate::error::Error;
use crate::store::rows::signed;
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

    async fn gone(&self, owners: Vec<(Owner, u64)>) -> Result<Vec<Owner>, Error> {
        super::at_once(&self.postgres, move |connection| {
            let owners = owners.clone();
            Box::pin(async move { gone(connection, &owners).await })
        })
        .await
    }
}

async fn gone(connection: &mut PgConnection, owners: &[(Owner, u64)]) -> Unit<Vec<Owner>> {
    let tenants: Vec<&str> = owners.iter().map(|(owner, _)| owner.tenant.as_str()).collect();
    let subjects: Vec<&str> = owners.iter().map(|(owner, _)| owner.subject.as_str()).collect();
    let incarnations: Vec<i64> = owners.iter().map(|(_, of)| signed(*of)).collect();
    let numbers: Vec<i64> = sqlx::query_scalar(
        "SELECT asked.number FROM unnest($1::text[], $2::text[], $3::bigint[]) \
                WITH ORDINALITY AS asked (tenant, subject, incarnation, number) \
         WHERE NOT EXISTS (SELECT FROM owners o WHERE o.tenant = asked.tenant AND o.subject = asked.subject \
                           AND o.incarnation = asked.incarnation)",
    )
    .bind(tenants)
    .bind(subjects)
    .bind(incarnations)
    .fetch_all(connection)
    .await?;
    let asked = |number: i64| {
        usize::try_from(number - 1)
            .ok()
            .and_then(|index| owners.get(index))
    };
    Ok(numbers
        .into_iter()
        .filter_map(asked)
        .map(|(owner, _)| owner.clone())
        .collect())
}
