//! One writer among several instances. Whoever holds an advisory lock of the database appends, and it appends on the very
//! connection that holds the lock: a writer that lost the lock lost the connection, and can commit nothing more.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_sql::{Error as SqlError, Limits, Postgres, fair};
use parking_lot::Mutex;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::reader::PostgresReader;
use super::tables::Tables;
use crate::Error;
use crate::domain::Draft;
use crate::store::ledger::{Ledger, Reply};
use crate::store::{self, Lane, published};

mod session;

/// After so much silence the connection is asked whether it is still there; well below what the server allows it.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// A commit that takes longer is given up together with its connection, and its callers are told to come again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Taking up a log reads little of it. Whoever does not come through in that time is cut off, and lets another one try.
const TAKE_UP: Duration = Duration::from_secs(30);
/// Most bytes of leaves and details in one statement.
const STATEMENT: usize = 16 << 20;

/// An append on its way, and who waits for it.
struct Pending {
    drafts: Vec<Draft>,
    reply: oneshot::Sender<Result<Reply, Refusal>>,
}

/// Why a group was not written, or not known to be.
#[derive(Debug, Clone)]
enum Refusal {
    NotWriter,
    Store(SqlError),
}

/// Where appends wait for the writer.
pub(super) struct Queue {
    waiting: Arc<fair::Queue<Lane, Pending>>,
    max_wait: Duration,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    /// Hands the drafts over and waits until they are durable. At most as long as [`Limits::max_wait`] for a place.
    pub(super) async fn submit(&self, lane: &Lane, drafts: Vec<Draft>) -> Result<Reply, Error> {
        let (reply, outcome) = oneshot::channel();
        let pushed = self.waiting.push(lane, Pending { drafts, reply });
        match timeout(self.max_wait, pushed).await {
            Ok(Ok(())) => {}
            Ok(Err(fair::Rejected::Closed(_))) => return Err(SqlError::Closed.into()),
            Ok(Err(fair::Rejected::Full(_))) | Err(_) => return Err(SqlError::QueueFull.into()),
        }
        match outcome.await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Refusal::NotWriter)) => Err(Error::NotWriter),
            Ok(Err(Refusal::Store(error))) => Err(error.into()),
            Err(_) => Err(SqlError::Closed.into()),
        }
    }

    /// Takes no more appends, writes those that wait, and gives up the lock.
    pub(super) async fn shutdown(&self) {
        self.waiting.close();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer of the audit log ended abnormally");
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.waiting.close();
    }
}

/// The task that stands for election, and writes while it is elected.
pub(super) struct Writer {
    database: Postgres,
    directory: PathBuf,
    ledger: Ledger,
    waiting: Arc<fair::Queue<Lane, Pending>>,
    group: usize,
    writes: watch::Sender<bool>,
}

/// Why an elected writer stopped.
enum End {
    /// The queue is closed and empty.
    Closed,
    /// What the connection holds is not certain any more.
    Lost,
}

impl Writer {
    /// Starts standing for election; the receiver tells when this instance is the one that writes.
    pub(super) fn start(
        database: Postgres,
        directory: PathBuf,
        ledger: Ledger,
        limits: Limits,
    ) -> (Queue, watch::Receiver<bool>) {
        let terms = fair::Terms {
            party: store::party,
            weight: |pending: &Pending| store::weight(&pending.drafts),
        };
        let waiting = Arc::new(fair::Queue::on(terms, limits.queue));
        let (writes, receiver) = watch::channel(false);
        let writer = Self {
            database,
            directory,
            ledger,
            waiting: Arc::clone(&waiting),
            group: limits.group.max(1),
            writes,
        };
        let task = tokio::spawn(writer.run());
        let queue = Queue {
            waiting,
            max_wait: limits.max_wait,
            task: Mutex::new(Some(task)),
        };
        (queue, receiver)
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
            self.writes.send_replace(true);
            let end = self.serve(&mut session).await;
            self.writes.send_replace(false);
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
                group = self.waiting.take(self.group) => if !refuse(group, &Refusal::NotWriter) { return None },
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
                group = self.waiting.take(self.group) => if !refuse(group, &Refusal::NotWriter) { return false },
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
            let mut group = group.into_iter();
            while let Some(part) = next_part(&mut group) {
                if let Err(error) = self.write(session, part).await {
                    tracing::error!(error = %Chain(&error), "a group of appends failed; standing for election again");
                    refuse(group.collect(), &Refusal::Store(error));
                    return End::Lost;
                }
            }
        }
    }

    /// Commits one group and answers it. After an error nothing is certain but the database.
    async fn write(&mut self, session: &mut PgConnection, part: Vec<Pending>) -> Result<(), SqlError> {
        let (jobs, replies): (Vec<_>, Vec<_>) = part
            .into_iter()
            .map(|pending| (pending.drafts, pending.reply))
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

/// Answers a group without writing it; `false` when it is the empty one of a closed queue.
fn refuse(group: Vec<Pending>, refusal: &Refusal) -> bool {
    let is_open = !group.is_empty();
    for pending in group {
        let _ = pending.reply.send(Err(refusal.clone()));
    }
    is_open
}

/// The appends that fit into the next statement, at least one.
fn next_part(group: &mut std::vec::IntoIter<Pending>) -> Option<Vec<Pending>> {
    let mut part = Vec::new();
    let mut bytes = 0;
    while let Some(next) = group.as_slice().first() {
        bytes += next.drafts.iter().map(Draft::weight).sum::<usize>();
        if !part.is_empty() && bytes > STATEMENT {
            break;
        }
        part.extend(group.next());
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
