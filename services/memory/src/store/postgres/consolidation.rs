//! Consolidation on Postgres, where several processes may want to.

use std::sync::Arc;

use async_trait::async_trait;
use harombe_types::{SessionId, Timestamp};
use uuid::Uuid;

use super::PostgresStore;
use super::memories::statements;
use crate::domain::consolidation::{Behind, Plan, Put, Putting, Segment, Taking, Told, Work};
use crate::domain::{Memory, Owner, Step};
use crate::error::Error;
use crate::store::consolidation::Consolidations;

/// A future of `work` with its own copies of what it needs.
macro_rules! with {
    ($($name:ident),+; |$connection:ident| $work:expr) => {
        |$connection| {
            $(let $name = $name.clone();)+
            Box::pin(async move { $work.await })
        }
    };
}

#[async_trait]
impl Consolidations for PostgresStore {
    async fn hold(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, Error> {
        self.at_once(|connection| {
            Box::pin(async move {
                // nobody writes a later moment than this one: it is of before the clock has gone back
                let held = sqlx::query(
                    "INSERT INTO consolidating (one, holder, until_ms) VALUES (1, $1, $3) ON CONFLICT (one) DO UPDATE \
                     SET holder = excluded.holder, until_ms = excluded.until_ms \
                     WHERE consolidating.holder = excluded.holder OR consolidating.until_ms <= $2 \
                       OR consolidating.until_ms > $3 + ($3 - $2)",
                )
                .bind(holder.to_string())
                .bind(now.as_millis())
                .bind(until.as_millis())
                .execute(connection)
                .await?;
                Ok(held.rows_affected() > 0)
            })
        })
        .await
    }

    async fn let_go(&self, holder: Uuid) -> Result<(), Error> {
        self.at_once(|connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM consolidating WHERE holder = $1")
                    .bind(holder.to_string())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn behind(&self, limit: u32) -> Result<Vec<Behind>, Error> {
        self.at_once(|connection| Box::pin(statements::behind(connection, limit)))
            .await
    }

    async fn count_behind(&self) -> Result<u64, Error> {
        self.at_once(|connection| Box::pin(statements::count_behind(connection)))
            .await
    }

    async fn put_off(&self, owner: &Owner, now: Timestamp) -> Result<(), Error> {
        self.at_once(with!(owner; |connection| statements::put_off(connection, &owner, now)))
            .await
    }

    async fn alike(&self, owner: &Owner, keys: &[i64], limit: u32) -> Result<Vec<Memory>, Error> {
        let keys: Arc<[i64]> = keys.into();
        self.at_once(with!(owner, keys; |connection| statements::alike(connection, &owner, &keys, limit)))
            .await
    }

    async fn reach(&self, owner: &Owner, session: SessionId) -> Result<Option<u32>, Error> {
        self.at_once(with!(owner; |connection| statements::reach(connection, &owner, session)))
            .await
    }

    async fn told(&self, owner: &Owner, segment: Segment) -> Result<Told, Error> {
        self.at_once(with!(owner; |connection| statements::told(connection, &owner, segment)))
            .await
    }

    async fn turns(&self, owner: &Owner, segment: Segment, limit: u32) -> Result<Vec<Memory>, Error> {
        self.at_once(with!(owner; |connection| statements::turns(connection, &owner, segment, limit)))
            .await
    }

    async fn consolidate(&self, plan: Plan) -> Result<Option<Vec<Step>>, Error> {
        let plan = Arc::new(plan);
        self.whole(with!(plan; |tx| statements::consolidate(tx, &plan)))
            .await
    }

    async fn take_work(&self, taking: Taking) -> Result<Option<Work>, Error> {
        let taking = Arc::new(taking);
        self.whole(with!(taking; |tx| statements::take_work(tx, &taking)))
            .await
    }

    async fn put_summary(&self, putting: Putting) -> Result<Put, Error> {
        let putting = Arc::new(putting);
        self.whole(with!(putting; |tx| statements::put_summary(tx, &putting)))
            .await
    }
}
