//! Group commit for closures: a unit of work that is refused takes nothing of its neighbours with it.

use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{Error, GroupCommit, Handler, Limits, Writer};

/// What a unit returns.
pub type UnitFuture<'c, T, E> = BoxFuture<'c, Result<T, UnitError<E>>>;

/// Why a unit was not done. Nothing it wrote is visible.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnitError<E> {
    /// The unit itself said no: a rule of the domain, not of the store.
    #[error("the unit refused")]
    Refused(E),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Error),
}

/// A writer that takes closures. Cheap to clone.
pub struct Units<K: Eq + Hash + Clone + Send + Sync + 'static> {
    commits: GroupCommit<Undoable<K>>,
    max_wait: std::time::Duration,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Units<K> {
    /// Starts the writer on the current Tokio runtime.
    pub fn start(writer: Writer, limits: Limits) -> Self {
        let commits = GroupCommit::start(writer, Undoable { key: PhantomData }, limits);
        Self {
            commits,
            max_wait: limits.max_wait,
        }
    }

    /// Runs the unit inside a group's transaction and returns its result once the group is durable. The unit awaits
    /// nothing but its connection. Dropping the future does not cancel a unit that has its place in the queue.
    ///
    /// ```ignore
    /// units.run(&tenant, move |tx| Box::pin(async move {
    ///     let changed = sqlx::query("UPDATE ...").bind(id).execute(tx).await?.rows_affected();
    ///     if changed == 0 { return Err(UnitError::Refused(Error::NotFound)); }
    ///     Ok(())
    /// })).await
    /// ```
    ///
    /// # Errors
    /// [`UnitError::Refused`] as the unit returned it; [`UnitError::Store`] when a statement of this unit broke a
    /// rule of the schema, or when the whole group failed.
    pub async fn run<T, E, F>(&self, key: &K, unit: F) -> Result<T, UnitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> UnitFuture<'c, T, E> + Send + 'static,
    {
        self.run_before(Instant::now() + self.max_wait, key, unit).await
    }

    /// As [`Units::run`], with the caller's deadline for getting a place in the queue.
    ///
    /// # Errors
    /// As [`Units::run`].
    pub async fn run_before<T, E, F>(&self, deadline: Instant, key: &K, unit: F) -> Result<T, UnitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> UnitFuture<'c, T, E> + Send + 'static,
    {
        let (outcome, result) = oneshot::channel();
        let unit: Unit = Box::new(move |tx| perform(unit, tx, outcome).boxed());
        self.commits.submit_before(deadline, key, unit).await?;
        // the outcome was put there before the group was acknowledged
        result.await.unwrap_or(Err(UnitError::Store(Error::Closed)))
    }

    /// Takes no more units, finishes those that wait, and closes the connection.
    pub async fn shutdown(&self) {
        self.commits.shutdown().await;
    }
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Clone for Units<K> {
    fn clone(&self) -> Self {
        Self {
            commits: self.commits.clone(),
            max_wait: self.max_wait,
        }
    }
}

impl<E> From<Error> for UnitError<E> {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl<E> From<sqlx::Error> for UnitError<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

type Unit = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Verdict> + Send>;

/// What becomes of what a unit wrote.
enum Verdict {
    Keep,
    Undo,
    /// The file or disk failed: the group cannot be saved.
    Abandon(Error),
}

async fn perform<T, E, F>(
    unit: F,
    tx: &mut SqliteConnection,
    outcome: oneshot::Sender<Result<T, UnitError<E>>>,
) -> Verdict
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> UnitFuture<'c, T, E>,
{
    // the closure itself may panic too, so it is called inside the guarded future
    let guarded = AssertUnwindSafe(async { unit(tx).await }).catch_unwind();
    let result = guarded.await.unwrap_or(Err(UnitError::Store(Error::Panicked)));
    let verdict = match &result {
        Ok(_) => Verdict::Keep,
        Err(UnitError::Store(error)) if error.breaks_transaction() => Verdict::Abandon(error.clone()),
        Err(_) => Verdict::Undo,
    };
    // a caller that went away has nothing to be told
    let _ = outcome.send(result);
    verdict
}

async fn run(tx: &mut SqliteConnection, statement: &'static str) -> Result<(), Error> {
    sqlx::query(statement).execute(tx).await?;
    Ok(())
}

struct Undoable<K> {
    key: PhantomData<fn(K)>,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Handler for Undoable<K> {
    type Job = Unit;
    type Reply = ();
    type Key = K;

    async fn apply(&mut self, tx: &mut SqliteConnection, units: Vec<Unit>) -> Result<Vec<()>, Error> {
        let alone = units.len() == 1;
        let mut replies = Vec::with_capacity(units.len());
        for unit in units {
            // Each statement is a way to another thread and back. A unit that is alone needs no savepoint: what is undone is
            // all there is; and the last one's is released by the commit.
            match (alone, replies.is_empty()) {
                (true, _) => {}
                (false, true) => run(tx, "SAVEPOINT unit").await?,
                (false, false) => run(tx, "RELEASE unit; SAVEPOINT unit").await?,
            }
            // What follows fails when SQLite has rolled the transaction back under a unit that hid the error: then the whole
            // group must go.
            match (unit(&mut *tx).await, alone) {
                (Verdict::Keep, _) => {}
                // Nothing follows but the commit, which needs no lock then.
                (Verdict::Undo, true) => run(tx, "ROLLBACK; BEGIN").await?,
                (Verdict::Undo, false) => run(tx, "ROLLBACK TO unit").await?,
                (Verdict::Abandon(error), _) => return Err(error),
            }
            replies.push(());
        }
        Ok(replies)
    }

    fn rolled_back(&mut self) {}
}
