//! One writer among several instances. Whoever holds an advisory lock of the database appends, and it appends on the very
//! connection that holds the lock: a writer that lost the lock lost the connection, and can commit nothing more. It also
//! destroys data keys there, so that no other instance can have begun to seal with them in the meantime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_sql::{Error as SqlError, Limits, Postgres};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use tokio::time::timeout;

use self::queue::{Append, Destroy, Group, Pending, Refusal, Tasks};
use super::data_keys;
use super::reader::PostgresReader;
use super::tables::Tables;
use crate::Error;
use crate::domain::Draft;
use crate::store::ledger::Ledger;
use crate::store::{Term, published};
pub(super) use queue::Queue;

mod queue;
mod session;

/// After so much silence the connection is asked whether it is still there; well below what the server allows it.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// A commit that takes longer is given up together with its connection, and its callers are told to come again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Taking up a log reads little of it. Whoever does not come through in that time is cut off, and lets another one try.
const TAKE_UP: Duration = Duration::from_secs(30);
/// Most bytes of leaves and details in one statement.
const STATEMENT: usize = 16 << 20;

/// The task that stands for election, and writes while it is elected.
pub(super) struct Writer {
    database: Postgres,
    directory: PathBuf,
    ledger: Ledger,
    waiting: Arc<Tasks>,
    group: usize,
    /// The last term of this instance.
    term: Term,
    writes: watch::Sender<Option<Term>>,
}

/// Why an elected writer stopped.
enum End {
    /// The queue is closed and empty.
    Closed,
    /// What the connection holds is not certain any more.
    Lost,
}

impl Writer {
    /// Starts standing for election; the receiver tells when this instance is the one that writes, and in which term.
    pub(super) fn start(
        database: Postgres,
        directory: PathBuf,
        ledger: Ledger,
        limits: Limits,
    ) -> (Queue, watch::Receiver<Option<Term>>) {
        let waiting = Arc::new(queue::tasks(limits));
        let (writes, receiver) = watch::channel(None);
        let writer = Self {
            database,
            directory,
            ledger,
            waiting: Arc::clone(&waiting),
            group: limits.group.max(1),
            term: Term::default(),
            writes,
        };
        let writer = tokio::spawn(writer.run());
        (Queue::new(waiting, limits.max_wait, writer), receiver)
    }

    async fn run(mut self) {
        while let Some(mut session) = self.stand_by().await {
            let taken_up = timeout(TAKE_UP, self.take_up(&mut session)).await;
            if let Err(error) = taken_up.unwrap_or(Err(Error::Store(SqlError::Closed))) {
                tracing::error!(error = %Chain(&error), "elected to write the audit log, and not able to");
                session::release(session).await;
                if !self.refuse_for(session::RETRY_DAMAGED).await {
                    return;
                }
                continue;
            }
            tracing::info!(
                entries = self.ledger.head().size(),
                "this instance writes the audit log"
            );
            self.term = self.term.next();
            self.writes.send_replace(Some(self.term));
            let end = self.serve(&mut session).await;
            self.writes.send_replace(None);
            match end {
                End::Closed => return session::release(session).await,
                End::Lost => drop(session),
            }
        }
    }

    /// Waits until this instance is elected, and refuses what is asked of it meanwhile; `None` when the queue is closed.
    async fn stand_by(&self) -> Option<PgConnection> {
        let elected = session::elect(&self.database);
        tokio::pin!(elected);
        loop {
            tokio::select! {
                session = &mut elected => return Some(session),
                group = self.waiting.take(self.group) => if !refuse(group) { return None },
            }
        }
    }

    /// As [`Writer::stand_by`] without standing for election; `false` when the queue is closed.
    async fn refuse_for(&self, pause: Duration) -> bool {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                group = self.waiting.take(self.group) => if !refuse(group) { return false },
            }
        }
    }

    /// Goes on from the last committed checkpoint, which must be signed by this key and reach as far as was published.
    async fn take_up(&mut self, session: &mut PgConnection) -> Result<(), Error> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let failed = |error| Error::Store(self.database.error(error));
        let mut snapshot = session.begin_with(begin).await.map_err(failed)?;
        let state = self.ledger.state(&mut *snapshot).await?;
        snapshot
            .rollback()
            .await
            .map_err(|error| self.database.error(error))?;
        // Before the head is taken over, because then it is published.
        let reader = PostgresReader::new(self.database.clone());
        let key = self.ledger.verifying_key();
        published::check(&self.directory, &reader, &state.head, key).await?;
        self.ledger.resume(state);
        Ok(())
    }

    async fn serve(&mut self, session: &mut PgConnection) -> End {
        loop {
            let Ok(group) = timeout(HEARTBEAT, self.waiting.take(self.group)).await else {
                if !session::is_alive(session).await {
                    return End::Lost;
                }
                continue;
            };
            if group.is_empty() {
                return End::Closed;
            }
            let mut group = Group::of(self.term, group);
            if let Err(error) = self.work_off(session, &mut group).await {
                tracing::error!(error = %Chain(&error), "a group could not be written; standing for election again");
                group.refuse(&Refusal::Store(error));
                return End::Lost;
            }
        }
    }

    async fn work_off(&mut self, session: &mut PgConnection, group: &mut Group) -> Result<(), SqlError> {
        for destroy in group.keys.by_ref() {
            self.destroy(session, destroy).await?;
        }
        while let Some(part) = next_part(&mut group.appends) {
            self.write(session, part).await?;
        }
        Ok(())
    }

    /// Deletes a data key and answers for it. After an error it may be gone or not, but not later than the lock.
    async fn destroy(&self, session: &mut PgConnection, destroy: Destroy) -> Result<(), SqlError> {
        let deleted = timeout(PATIENCE, data_keys::destroy(session, &destroy.owner)).await;
        let deleted = deleted.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let deleted = deleted.map_err(|error| self.database.error(error));
        let _ = destroy.reply.send(deleted.clone().map_err(Refusal::Store));
        deleted
    }

    /// Commits one group and answers it. After an error nothing is certain but the database.
    async fn write(&mut self, session: &mut PgConnection, part: Vec<Append>) -> Result<(), SqlError> {
        let (jobs, replies): (Vec<_>, Vec<_>) = part
            .into_iter()
            .map(|append| (append.drafts, append.reply))
            .unzip();
        let mut tables = Tables {
            database: &self.database,
            session,
        };
        let written = timeout(PATIENCE, self.ledger.append(&mut tables, &jobs)).await;
        match written.unwrap_or(Err(self.database.error(sqlx::Error::PoolTimedOut))) {
            Ok(answers) => {
                self.ledger.committed();
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // A caller that went away has nothing to be told.
                    let _ = reply.send(Ok(answer));
                }
                Ok(())
            }
            Err(error) => {
                self.ledger.rolled_back();
                for reply in replies {
                    let _ = reply.send(Err(Refusal::Store(error.clone())));
                }
                Err(error)
            }
        }
    }
}

/// Answers a group without doing it; `false` when it is the empty one of a closed queue.
fn refuse(group: Vec<Pending>) -> bool {
    let is_open = !group.is_empty();
    Group::sorted(group).refuse(&Refusal::NotWriter);
    is_open
}

/// The appends that fit into the next statement, at least one.
fn next_part(appends: &mut std::vec::IntoIter<Append>) -> Option<Vec<Append>> {
    let mut part = Vec::new();
    let mut bytes = 0;
    while let Some(next) = appends.as_slice().first() {
        bytes += next.drafts.iter().map(Draft::weight).sum::<usize>();
        if !part.is_empty() && bytes > STATEMENT {
            break;
        }
        part.extend(appends.next());
    }
    (!part.is_empty()).then_some(part)
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
