//! The query index: a file of its own, filled behind the log and rebuilt when it does not belong to it.

use std::path::Path;

use async_trait::async_trait;
use harombe_sql::{BulkInsert, Connection, Database, Limits, Migrator, UnitError, Units};
use sqlx::{Row as _, Sqlite};

use super::INDEX_FILE;
use crate::Error;
use crate::domain::{Filter, Leaf};
use crate::store::index::{Progress, STEP, indexed, search};
use crate::store::port::{Index, Reader};
use crate::store::row_id;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite/index");

/// Which entries match a query, as far as the index has come.
pub(crate) struct SqliteIndex {
    database: Database,
    writer: Units<()>,
    insert: BulkInsert,
}

impl SqliteIndex {
    /// Opens the index of the log in `directory`.
    pub(crate) async fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(INDEX_FILE);
        let opened = match Database::open(&path, &MIGRATIONS).await {
            Err(harombe_sql::Error::Corrupt { .. }) => {
                tracing::warn!(path = %path.display(), "the query index is damaged and is built anew");
                remove(&path)?;
                Database::open(&path, &MIGRATIONS).await
            }
            opened => opened,
        };
        let (database, writer) = opened?;
        let writer = Units::start(writer, Limits::default());
        let columns = "INSERT INTO indexed (idx, tenant, kind, service, run, session, call, time)";
        Ok(Self {
            database,
            writer,
            insert: BulkInsert::new(columns, 8),
        })
    }

    async fn progress(&self) -> Result<Progress, Error> {
        let row = sqlx::query("SELECT next, hash FROM progress")
            .fetch_one(self.database.readers())
            .await;
        let read = row.and_then(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get(1)?)));
        let (next, hash) = read.map_err(|error| self.database.error(error))?;
        Ok(Progress {
            next: next.unsigned_abs(),
            hash,
        })
    }

    async fn clear(&self) -> Result<(), Error> {
        let cleared = self.writer.run::<_, std::convert::Infallible, _>(&(), |tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM indexed").execute(&mut *tx).await?;
                advance(tx, 0, None).await?;
                Ok(())
            })
        });
        cleared.await.map_err(store_error)
    }
}

#[async_trait]
impl Index for SqliteIndex {
    async fn step(&self, log: &dyn Reader) -> Result<bool, Error> {
        let progress = self.progress().await?;
        if !progress.belongs_to(log).await? {
            tracing::warn!("the query index belongs to another log and is built anew");
            self.clear().await?;
            return Ok(true);
        }
        let rows = log.entries(progress.next, STEP).await?;
        let Some(last) = rows.last() else { return Ok(false) };
        let (next, hash) = (row_id(last.index + 1), last.hash.clone());
        let indexed = rows.iter().map(indexed).collect::<Result<Vec<_>, Error>>()?;
        let insert = self.insert.clone();
        let done = self.writer.run::<_, std::convert::Infallible, _>(&(), move |tx| {
            Box::pin(async move {
                insert
                    .insert(tx, indexed, |query, (index, time, leaf)| {
                        let Leaf {
                            tenant,
                            kind,
                            service,
                            run,
                            session,
                            call,
                            ..
                        } = leaf;
                        query
                            .bind(index)
                            .bind(tenant)
                            .bind(kind)
                            .bind(service)
                            .bind(run)
                            .bind(session)
                            .bind(call)
                            .bind(time)
                    })
                    .await?;
                advance(tx, next, Some(hash)).await?;
                Ok(())
            })
        });
        done.await.map_err(store_error)?;
        Ok(true)
    }

    async fn find(
        &self,
        log: &dyn Reader,
        filter: &Filter,
        from: u64,
        limit: u32,
    ) -> Result<(Vec<u64>, u64), Error> {
        // Read first: the index may grow meanwhile, and what is answered must not be more than what is promised.
        let reach = self.reach(log).await?;
        let found: Vec<i64> = search::<Sqlite>(filter, from, reach, limit)
            .build_query_scalar()
            .fetch_all(self.database.readers())
            .await
            .map_err(|error| self.database.error(error))?;
        Ok((found.into_iter().map(i64::unsigned_abs).collect(), reach))
    }

    async fn reach(&self, log: &dyn Reader) -> Result<u64, Error> {
        self.progress().await?.reach(log).await
    }

    async fn close(&self) {
        self.database.close().await;
        self.writer.shutdown().await;
    }
}

async fn advance(tx: &mut Connection, next: i64, hash: Option<Vec<u8>>) -> Result<(), harombe_sql::Error> {
    sqlx::query("UPDATE progress SET next = ?, hash = ?")
        .bind(next)
        .bind(hash)
        .execute(tx)
        .await?;
    Ok(())
}

fn store_error(error: UnitError<std::convert::Infallible>) -> Error {
    match error {
        UnitError::Refused(never) => match never {},
        UnitError::Store(error) => Error::Store(error),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File {
                    path: name.into(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(())
}
