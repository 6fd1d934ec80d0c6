//! Doing work on a connection, and doing it again when that is certain to be right.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Acquire as _, Postgres as Driver};
use tokio::time::Instant;

use super::{Postgres, fault};
use crate::{Error, UnitError, UnitFuture};

/// After this a server that took the work and says nothing is taken for gone. Longer than the server's own limits.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Between two attempts, growing by itself each time.
const STEP: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Why an attempt came to nothing.
struct Failed<E> {
    error: UnitError<E>,
    /// It is certain that nothing was written, and another attempt may fare better.
    again: bool,
}

impl Postgres {
    /// Does `work` in one transaction, and all of it again when the transaction collided with another, or lost its
    /// connection before it was to be committed. So `work` may run several times; it awaits nothing but its connection.
    ///
    /// ```ignore
    /// postgres.transaction(|tx| Box::pin(async move {
    ///     let changed = sqlx::query("UPDATE ...").bind(id).execute(tx).await?.rows_affected();
    ///     if changed == 0 { return Err(UnitError::Refused(Error::NotFound)); }
    ///     Ok(())
    /// })).await
    /// ```
    ///
    /// # Errors
    /// [`UnitError::Refused`] as `work` returned it; [`UnitError::Store`] with [`Error::Unreachable`] when the connection
    /// was lost while committing: then the work may have been done.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, UnitError<E>>
    where
        T: Send,
        E: Send,
        F: for<'c> Fn(&'c mut PgConnection) -> UnitFuture<'c, T, E> + Send + Sync,
    {
        let mut attempts = Attempts::until(self.acquire);
        loop {
            let failed = match self.attempt_transaction(&work).await {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if !failed.again || !attempts.another().await {
                return Err(failed.error);
            }
        }
    }

    /// Does `work` outside of a transaction, and again when the connection was lost: for reads, and for single statements
    /// that change nothing when they are repeated.
    ///
    /// # Errors
    /// What `work` returned, sorted; [`Error::Unreachable`] when repeating did not help.
    pub async fn idempotent<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Error>> + Send + Sync,
    {
        let mut attempts = Attempts::until(self.acquire);
        loop {
            let mut connection = self.acquire().await?;
            let done = tokio::time::timeout(ATTEMPT, work(&mut connection)).await;
            let error = match done {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => fault::sorted(error, &self.server),
                Err(elapsed) => {
                    connection.close_on_drop();
                    return Err(fault::unreachable(&self.server, elapsed));
                }
            };
            drop(connection);
            let again = matches!(error, Error::Unreachable { .. } | Error::Conflict(_));
            if !again || !attempts.another().await {
                return Err(error);
            }
        }
    }

    async fn acquire(&self) -> Result<PoolConnection<Driver>, Error> {
        self.pool.acquire().await.map_err(|error| self.error(error))
    }

    async fn attempt_transaction<T, E, F>(&self, work: &F) -> Result<T, Failed<E>>
    where
        F: for<'c> Fn(&'c mut PgConnection) -> UnitFuture<'c, T, E>,
    {
        // whoever waited for a connection in vain has waited long enough
        let mut connection = self.acquire().await.map_err(Failed::finally)?;
        let done = tokio::time::timeout(ATTEMPT, self.perform(&mut connection, work)).await;
        done.unwrap_or_else(|elapsed| {
            connection.close_on_drop();
            Err(Failed::finally(fault::unreachable(&self.server, elapsed)))
        })
    }

    async fn perform<T, E, F>(&self, connection: &mut PgConnection, work: &F) -> Result<T, Failed<E>>
    where
        F: for<'c> Fn(&'c mut PgConnection) -> UnitFuture<'c, T, E>,
    {
        let mut tx = connection
            .begin()
            .await
            .map_err(|error| Failed::before_commit(self.error(error)))?;
        match work(&mut tx).await {
            Ok(done) => match tx.commit().await {
                Ok(()) => Ok(done),
                // an answer means that nothing was written; silence means nothing
                Err(error) => Err(match self.error(error) {
                    error @ Error::Conflict(_) => Failed::before_commit(error),
                    error => Failed::finally(error),
                }),
            },
            Err(failed) => {
                // a lost connection cannot be told, and needs not be
                if let Err(error) = tx.rollback().await {
                    tracing::debug!(%error, "the transaction was already gone");
                }
                Err(match failed {
                    UnitError::Store(error) => Failed::before_commit(fault::sorted(error, &self.server)),
                    refused @ UnitError::Refused(_) => Failed {
                        error: refused,
                        again: false,
                    },
                })
            }
        }
    }
}

impl<E> Failed<E> {
    fn finally(error: Error) -> Self {
        Self {
            error: UnitError::Store(error),
            again: false,
        }
    }

    fn before_commit(error: Error) -> Self {
        Self {
            again: matches!(error, Error::Unreachable { .. } | Error::Conflict(_)),
            error: UnitError::Store(error),
        }
    }
}

/// How often and how long work is attempted.
struct Attempts {
    deadline: Instant,
    pause: Duration,
}

impl Attempts {
    fn until(patience: Duration) -> Self {
        Self {
            deadline: Instant::now() + patience,
            pause: Duration::ZERO,
        }
    }

    /// Whether there is time for another attempt, after a pause. The first is at once: most often only the connection
    /// was stale.
    async fn another(&mut self) -> bool {
        if Instant::now() + self.pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause + STEP).min(LONGEST_PAUSE);
        true
    }
}
