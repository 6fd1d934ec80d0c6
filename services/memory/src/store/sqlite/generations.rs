//! Statements on generations of vectors.

use async_trait::async_trait;
use harombe_types::Timestamp;
use uuid::Uuid;

use super::{Lane, SqliteStore};
use crate::domain::Generation;
use crate::error::Error;
use crate::store::generations::{GenerationRow, Generations, Written};
use crate::store::rows::unsigned;

#[async_trait]
impl Generations for SqliteStore {
    async fn generations(&self) -> Result<Vec<Generation>, Error> {
        let rows: Result<Vec<GenerationRow>, _> =
            sqlx::query_as("SELECT name, dimension, source, complete FROM generations ORDER BY name")
                .fetch_all(self.database.readers())
                .await;
        rows.map_err(|error| self.read_failed(error))?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    async fn put_generation(&self, generation: &Generation) -> Result<(), Error> {
        let written = Written::try_from(generation)?;
        self.write_in(&Lane::Vectors, move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO generations (name, dimension, source, complete) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (name) DO UPDATE SET dimension = excluded.dimension, source = excluded.source, \
                     complete = excluded.complete",
                )
                .bind(written.name)
                .bind(written.dimension)
                .bind(written.source)
                .bind(written.complete)
                .execute(tx)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn remove_generation(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write_in(&Lane::Vectors, move |tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM generations WHERE name = ?")
                    .bind(name)
                    .execute(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn waiting(&self) -> Result<u64, Error> {
        let rows = sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(self.database.readers())
            .await;
        rows.map(unsigned).map_err(|error| self.read_failed(error))
    }

    /// The file has one process: it always is.
    async fn hold_indexing(&self, _: Uuid, _: Timestamp, _: Timestamp) -> Result<bool, Error> {
        Ok(true)
    }

    async fn keep_indexing(&self, _: Uuid, _: Timestamp) -> Result<bool, Error> {
        Ok(true)
    }

    async fn let_go_of_indexing(&self, _: Uuid) -> Result<(), Error> {
        Ok(())
    }
}
