//! The group-commit writer: while one transaction is being made durable the next group collects, so the
//! number of fsyncs follows the disk and not the number of callers.

use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use harombe_fair::{Bounds, Queue, Rejected, Terms};
use parking_lot::Mutex;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Error, Writer};

/// Writes groups of jobs.
pub trait Handler: Send + 'static {
    /// What a caller submits.
    type Job: Send + 'static;
    /// What a caller gets back once its group is durable. A job that is refused for a reason of its own
    /// answers with that reason here, having written nothing, and the rest of the group goes on.
    type Reply: Send + 'static;
    /// Whom the job is for: groups take turns between keys.
    type Key: Eq + Hash + Clone + Send + Sync + 'static;

    /// To which party a key belongs: turns are taken between parties first.
    fn party(_key: &Self::Key) -> u64 {
        0
    }

    /// How much of a turn, and of a group, a job takes.
    fn weight(_job: &Self::Job) -> usize {
        1
    }

    /// Writes the jobs inside the open transaction and returns one reply per job, in the same order.
    /// It awaits nothing but the connection: everybody else's writes wait for it.
    ///
    /// # Errors
    /// Any error rolls the whole group back and goes to every caller in it.
    fn apply(
        &mut self,
        tx: &mut SqliteConnection,
        jobs: Vec<Self::Job>,
    ) -> impl Future<Output = Result<Vec<Self::Reply>, Error>> + Send;

    /// The last `apply` is on the disk.
    fn committed(&mut self) {}

    /// Nothing of the last `apply` is in the database: forget what it changed in memory. Called also when `apply`
    /// itself failed or panicked part way.
    fn rolled_back(&mut self);
}

/// How much a writer takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Jobs in one transaction, by weight.
    pub group: usize,
    /// Jobs waiting, per key and in all, by weight.
    pub queue: Bounds,
    /// How long a caller without a deadline of its own waits for a place in the queue.
    pub max_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            group: 1024,
            queue: Bounds {
                per_key: 1024,
                total: 8192,
                callers: usize::MAX,
            },
            max_wait: Duration::from_secs(5),
        }
    }
}

/// A handle on the writer. Cheap to clone; when the last one is dropped the writer finishes what it has and ends.
pub struct GroupCommit<H: Handler> {
    shared: Arc<Shared<H>>,
}

struct Shared<H: Handler> {
    queue: Arc<Queue<H::Key, Pending<H>>>,
    max_wait: Duration,
    committer: Mutex<Option<JoinHandle<()>>>,
}

struct Pending<H: Handler> {
    job: H::Job,
    reply: oneshot::Sender<Result<H::Reply, Error>>,
}

struct Committer<H: Handler> {
    writer: Writer,
    handler: H,
    queue: Arc<Queue<H::Key, Pending<H>>>,
    group: usize,
}

impl<H: Handler> GroupCommit<H> {
    /// Starts the writer on the current Tokio runtime.
    pub fn start(writer: Writer, handler: H, limits: Limits) -> Self {
        let terms = Terms {
            party: H::party,
            weight: |pending: &Pending<H>| H::weight(&pending.job),
        };
        let queue = Arc::new(Queue::on(terms, limits.queue));
        let committer = Committer {
            writer,
            handler,
            queue: Arc::clone(&queue),
            group: limits.group.max(1),
        };
        let committer = tokio::spawn(committer.run());
        let shared = Shared {
            queue,
            max_wait: limits.max_wait,
            committer: Mutex::new(Some(committer)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Hands the job over and waits until its group is durable. Dropping the future does not cancel a job that
    /// has got its place in the queue.
    ///
    /// # Errors
    /// [`Error::QueueFull`] and [`Error::Closed`] mean that the job was not and will not be done; every other
    /// error, that its whole group was rolled back.
    pub async fn submit(&self, key: &H::Key, job: H::Job) -> Result<H::Reply, Error> {
        self.submit_before(Instant::now() + self.shared.max_wait, key, job)
            .await
    }

    /// As [`GroupCommit::submit`], with the caller's deadline for getting a place in the queue. A job that has its
    /// place is written even when the deadline passes, and its true outcome is returned.
    ///
    /// # Errors
    /// As [`GroupCommit::submit`].
    pub async fn submit_before(
        &self,
        deadline: Instant,
        key: &H::Key,
        job: H::Job,
    ) -> Result<H::Reply, Error> {
        let (reply, outcome) = oneshot::channel();
        let queue = &self.shared.queue;
        match queue.try_push(key, Pending { job, reply }) {
            Ok(()) => {}
            Err(Rejected::Closed(_)) => return Err(Error::Closed),
            Err(Rejected::Full(pending)) => {
                match tokio::time::timeout_at(deadline, queue.push(key, pending)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(Rejected::Closed(_))) => return Err(Error::Closed),
                    Ok(Err(Rejected::Full(_))) | Err(_) => return Err(Error::QueueFull),
                }
            }
        }
        outcome.await.unwrap_or(Err(Error::Closed))
    }

    /// Takes no more jobs, writes those that wait, closes the connection, and returns when all that is done.
    pub async fn shutdown(&self) {
        self.shared.queue.close();
        let committer = self.shared.committer.lock().take();
        if let Some(committer) = committer
            && let Err(error) = committer.await
        {
            tracing::error!(error = %error, "the writer ended abnormally");
        }
    }
}

impl<H: Handler> Clone for GroupCommit<H> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<H: Handler> Drop for Shared<H> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<H: Handler> Committer<H> {
    async fn run(mut self) {
        loop {
            let group = self.queue.take(self.group).await;
            if group.is_empty() {
                break;
            }
            let (jobs, replies): (Vec<_>, Vec<_>) = group
                .into_iter()
                .map(|pending| (pending.job, pending.reply))
                .unzip();
            match self.commit(jobs).await {
                Ok(answers) => {
                    for (reply, answer) in replies.into_iter().zip(answers) {
                        // a caller that went away has nothing to be told
                        let _ = reply.send(Ok(answer));
                    }
                }
                Err(error) => self.fail(replies, error).await,
            }
        }
        self.writer.disconnect().await;
    }

    async fn commit(&mut self, jobs: Vec<H::Job>) -> Result<Vec<H::Reply>, Error> {
        let expected = jobs.len();
        let connection = self.writer.connection().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        let applied = AssertUnwindSafe(self.handler.apply(&mut tx, jobs))
            .catch_unwind()
            .await;
        let replies = applied.unwrap_or(Err(Error::Panicked)).and_then(|replies| {
            if replies.len() == expected {
                Ok(replies)
            } else {
                Err(Error::Replies {
                    jobs: expected,
                    replies: replies.len(),
                })
            }
        });
        match replies {
            Ok(replies) => {
                tx.commit().await?;
                self.handler.committed();
                Ok(replies)
            }
            Err(error) => {
                if let Err(rollback) = tx.rollback().await {
                    tracing::debug!(error = %rollback, "the transaction was already rolled back");
                }
                Err(error)
            }
        }
    }

    /// After a failure the connection is opened anew: what it holds in memory may not agree with the file.
    async fn fail(&mut self, replies: Vec<oneshot::Sender<Result<H::Reply, Error>>>, error: Error) {
        self.writer.disconnect().await;
        self.handler.rolled_back();
        let error = error.located(self.writer.path());
        tracing::error!(jobs = replies.len(), error = %error, "a group of writes was rolled back");
        for reply in replies {
            let _ = reply.send(Err(error.clone()));
        }
    }
}
