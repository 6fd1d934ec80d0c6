//! Where work waits for the writer: appends, and data keys that are to be destroyed. Each is done in the term for which it
//! was meant, or not at all.

use std::sync::Arc;
use std::time::Duration;

use harombe_sql::{Error as SqlError, Limits, fair};
use harombe_types::ServiceName;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Error;
use crate::domain::Draft;
use crate::store::data_keys::Owner;
use crate::store::ledger::Reply;
use crate::store::{self, Lane, Term};

/// Who waits for an answer.
pub(super) type Waiting<T> = oneshot::Sender<Result<T, Refusal>>;

/// An append on its way.
pub(super) struct Append {
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: Waiting<Reply>,
}

/// A data key that is to be destroyed.
pub(super) struct Destroy {
    pub(super) owner: Owner,
    pub(super) reply: Waiting<()>,
}

/// What waits, and for which term.
pub(super) struct Pending {
    term: Term,
    task: Task,
}

enum Task {
    Append(Append),
    Destroy(Destroy),
}

/// Why something was not done, or is not known to be.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    NotWriter,
    Store(SqlError),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotWriter => Self::NotWriter,
            Refusal::Store(error) => Self::Store(error),
        }
    }
}

/// What waits for the writer.
pub(super) type Tasks = fair::Queue<Lane, Pending>;

pub(super) fn tasks(limits: Limits) -> Tasks {
    let terms = fair::Terms {
        party: store::party,
        weight: |pending: &Pending| match &pending.task {
            Task::Append(append) => store::weight(&append.drafts),
            Task::Destroy(_) => 1,
        },
    };
    fair::Queue::on(terms, limits.queue)
}

/// The way to the writer.
pub(in crate::store::postgres) struct Queue {
    tasks: Arc<Tasks>,
    max_wait: Duration,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    /// To the writer that takes from `tasks` and is to end with them.
    pub(super) fn new(tasks: Arc<Tasks>, max_wait: Duration, writer: JoinHandle<()>) -> Self {
        Self {
            tasks,
            max_wait,
            writer: Mutex::new(Some(writer)),
        }
    }

    /// Hands the drafts over and waits until they are durable.
    pub(in crate::store::postgres) async fn append(
        &self,
        lane: &Lane,
        term: Term,
        drafts: Vec<Draft>,
    ) -> Result<Reply, Error> {
        let (reply, outcome) = oneshot::channel();
        let task = Task::Append(Append { drafts, reply });
        self.hand_over(lane, Pending { term, task }, outcome).await
    }

    /// Has the key of `owner` destroyed and waits until that is durable.
    pub(in crate::store::postgres) async fn destroy(&self, owner: Owner, term: Term) -> Result<(), Error> {
        let (reply, outcome) = oneshot::channel();
        let lane = (ServiceName::Audit, owner.tenant.clone());
        let task = Task::Destroy(Destroy { owner, reply });
        self.hand_over(&lane, Pending { term, task }, outcome).await
    }

    /// At most as long as [`Limits::max_wait`] for a place.
    async fn hand_over<T>(
        &self,
        lane: &Lane,
        pending: Pending,
        outcome: oneshot::Receiver<Result<T, Refusal>>,
    ) -> Result<T, Error> {
        match timeout(self.max_wait, self.tasks.push(lane, pending)).await {
            Ok(Ok(())) => {}
            Ok(Err(fair::Rejected::Closed(_))) => return Err(SqlError::Closed.into()),
            Ok(Err(fair::Rejected::Full(_))) | Err(_) => return Err(SqlError::QueueFull.into()),
        }
        let answer = outcome.await.unwrap_or(Err(Refusal::Store(SqlError::Closed)));
        Ok(answer?)
    }

    /// Takes nothing more, has done what waits, and waits until the writer has given up the lock.
    pub(in crate::store::postgres) async fn shutdown(&self) {
        self.tasks.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the writer of the audit log ended abnormally");
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.tasks.close();
    }
}

/// A group as the writer does it.
pub(super) struct Group {
    pub(super) keys: std::vec::IntoIter<Destroy>,
    pub(super) appends: std::vec::IntoIter<Append>,
}

impl Group {
    /// What of `taken` is meant for `term`; the rest is refused, for it was made ready in a term that is over.
    pub(super) fn of(term: Term, taken: Vec<Pending>) -> Self {
        let (current, over): (Vec<_>, Vec<_>) = taken.into_iter().partition(|pending| pending.term == term);
        Self::sorted(over).refuse(&Refusal::NotWriter);
        Self::sorted(current)
    }

    pub(super) fn sorted(taken: Vec<Pending>) -> Self {
        let (mut keys, mut appends) = (Vec::new(), Vec::new());
        for pending in taken {
            match pending.task {
                Task::Append(append) => appends.push(append),
                Task::Destroy(destroy) => keys.push(destroy),
            }
        }
        Self {
            keys: keys.into_iter(),
            appends: appends.into_iter(),
        }
    }

    /// Answers whoever still waits.
    pub(super) fn refuse(self, refusal: &Refusal) {
        for destroy in self.keys {
            let _ = destroy.reply.send(Err(refusal.clone()));
        }
        for append in self.appends {
            let _ = append.reply.send(Err(refusal.clone()));
        }
    }
}
