//! Statements on generations of vectors, and on who writes them.

use async_trait::async_trait;
use harombe_types::Timestamp;
use uuid::Uuid;

use super::PostgresStore;
use crate::domain::Generation;
use crate::error::Error;
use crate::store::generations::{GenerationRow, Generations, Written};
use crate::store::rows::unsigned;

#[async_trait]
impl Generations for PostgresStore {
    async fn generations(&self) -> Result<Vec<Generation>, Error> {
        let rows: Vec<GenerationRow> = self
            .at_once(|connection| {
                Box::pin(async move {
                    let rows = sqlx::query_as(
                        "SELECT name, dimension, source, complete FROM generations ORDER BY name",
                    )
                    .fetch_all(connection)
                    .await?;
                    Ok(rows)
                })
            })
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn put_generation(&self, generation: &Generation) -> Result<(), Error> {
        let Written {
            name,
            dimension,
            source,
            complete,
        } = generation.try_into()?;
        self.at_once(|connection| {
            let (name, source) = (name.clone(), source.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO generations (name, dimension, source, complete) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (name) DO UPDATE SET dimension = excluded.dimension, source = excluded.source, \
                     complete = excluded.complete",
                )
                .bind(name)
                .bind(dimension)
                .bind(source)
                .bind(complete)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn remove_generation(&self, name: &str) -> Result<(), Error> {
        self.at_once(|connection| {
            let name = name.to_owned();
            Box::pin(async move {
                sqlx::query("DELETE FROM generations WHERE name = $1")
                    .bind(name)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn waiting(&self) -> Result<u64, Error> {
        let rows = self
            .at_once(|connection| {
                Box::pin(async move {
                    let rows = sqlx::query_scalar("SELECT count(*) FROM outbox")
                        .fetch_one(connection)
                        .await?;
                    Ok(rows)
                })
            })
            .await?;
        Ok(unsigned(rows))
    }

    async fn hold_indexing(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, Error> {
        self.at_once(|connection| {
            Box::pin(async move {
                // nobody writes a later moment than this one: it is of before the clock has gone back
                let held = sqlx::query(
                    "INSERT INTO indexing (one, holder, until_ms) VALUES (1, $1, $3) ON CONFLICT (one) DO UPDATE \
                     SET holder = excluded.holder, until_ms = excluded.until_ms \
                     WHERE indexing.holder = excluded.holder OR indexing.until_ms <= $2 \
                       OR indexing.until_ms > $3 + ($3 - $2)",
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

    async fn keep_indexing(&self, holder: Uuid, until: Timestamp) -> Result<bool, Error> {
        self.at_once(|connection| {
            Box::pin(async move {
                let kept = sqlx::query("UPDATE indexing SET until_ms = $2 WHERE holder = $1")
                    .bind(holder.to_string())
                    .bind(until.as_millis())
                    .execute(connection)
                    .await?;
                Ok(kept.rows_affected() > 0)
            })
        })
        .await
    }

    async fn let_go_of_indexing(&self, holder: Uuid) -> Result<(), Error> {
        self.at_once(|connection| {
            Box::pin(async move {
                sqlx::query("DELETE FROM indexing WHERE holder = $1")
                    .bind(holder.to_string())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
