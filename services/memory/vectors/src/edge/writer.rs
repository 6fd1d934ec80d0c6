//! The one thread that changes anything: it takes what waits, has the engine do it, and makes all of it durable at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use qdrant_edge::{PointId, PointInsertOperations, PointOperations, UpdateOperation, WithPayloadInterface};
use rustix::fs::statvfs;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::shard::Shard;
use super::{convert, pool};
use crate::{Error, Point};

/// Points that are made durable together: more would keep their callers waiting for nothing.
const TOGETHER: usize = 2_000;

pub(super) enum Change {
    Upsert(Vec<Point>),
    Delete {
        tenant: String,
        ids: Vec<Uuid>,
    },
    /// Nothing but to be durable.
    Flush,
}

enum Work {
    Change {
        shard: Arc<Shard>,
        change: Change,
        answer: oneshot::Sender<Result<(), Error>>,
    },
    /// With all that came before it durable.
    Task(Box<dyn FnOnce() + Send>),
}

pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
    folder: PathBuf,
    min_free: u64,
}

#[derive(Default)]
struct State {
    works: VecDeque<Work>,
    points: usize,
    closed: bool,
}

impl Writer {
    /// At most `most` points wait; none are taken while the disk under `folder` has less than `min_free` bytes.
    pub(super) fn start(folder: &Path, most: u32, min_free: u64) -> Result<Self, Error> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            most: most as usize,
            folder: folder.to_owned(),
            min_free,
        });
        let works = Arc::clone(&queue);
        let thread = pool::spawn("vectors-write", move || works.run())?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) async fn change(&self, shard: Arc<Shard>, change: Change) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let work = Work::Change {
            shard,
            change,
            answer,
        };
        self.queue.push(work)?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// What `task` returns, with nothing else being written.
    pub(super) async fn alone<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Work::Task(Box::new(move || {
            let _ = answer.send(task());
        })))?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// As [`Self::alone`], from a thread of ours.
    pub(super) fn alone_blocking<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.queue.push(Work::Task(Box::new(move || {
            let _ = answer.send(task());
        })))?;
        answered.recv().unwrap_or(Err(Error::Closed))
    }

    /// Takes nothing more.
    pub(super) fn stop(&self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_all();
    }

    /// Takes nothing more; returns when all that waits is done. Blocks.
    pub(super) fn close(&self) {
        self.stop();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Work {
    fn points(&self) -> usize {
        match self {
            Self::Change { change, .. } => change.points(),
            Self::Task(_) => 1,
        }
    }
}

impl Change {
    fn points(&self) -> usize {
        match self {
            Self::Upsert(points) => points.len(),
            Self::Delete { ids, .. } => ids.len(),
            Self::Flush => 1,
        }
    }
}

impl Queue {
    fn push(&self, work: Work) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if state.points + work.points() > self.most {
            return Err(Error::Busy);
        }
        state.points += work.points();
        state.works.push_back(work);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// What to do next: changes that are made durable together, or one task. None: there will be nothing more.
    fn next(&self) -> Option<Vec<Work>> {
        let mut state = self.state.lock();
        while state.works.is_empty() && !state.closed {
            self.changed.wait(&mut state);
        }
        let mut taken = vec![state.works.pop_front()?];
        let mut points = taken.iter().map(Work::points).sum();
        while points < TOGETHER
            && matches!(taken.last(), Some(Work::Change { .. }))
            && matches!(state.works.front(), Some(Work::Change { .. }))
            && let Some(work) = state.works.pop_front()
        {
            points += work.points();
            taken.push(work);
        }
        state.points = state.points.saturating_sub(points);
        Some(taken)
    }

    fn run(&self) {
        while let Some(works) = self.next() {
            let mut touched: Vec<Arc<Shard>> = Vec::new();
            let mut answers = Vec::new();
            for work in works {
                match work {
                    Work::Task(task) => {
                        let _ = catch_unwind(AssertUnwindSafe(task));
                    }
                    Work::Change {
                        shard,
                        change,
                        answer,
                    } => {
                        let result = self.make(&shard, change);
                        if !touched.iter().any(|known| Arc::ptr_eq(known, &shard)) {
                            touched.push(Arc::clone(&shard));
                        }
                        answers.push((shard, answer, result));
                    }
                }
            }
            let flushed: Vec<_> = touched.into_iter().map(|shard| (shard.flush(), shard)).collect();
            for (shard, answer, result) in answers {
                let durable = flushed.iter().find(|(_, known)| Arc::ptr_eq(known, &shard));
                let durable = durable.map_or(Ok(()), |(flush, _)| again(flush));
                let _ = answer.send(result.and(durable));
            }
        }
    }

    fn make(&self, shard: &Shard, change: Change) -> Result<(), Error> {
        match change {
            Change::Upsert(points) => {
                self.has_room()?;
                upsert(shard, points)
            }
            Change::Delete { tenant, ids } => delete(shard, &tenant, ids),
            Change::Flush => Ok(()),
        }
    }

    // The engine writes through memory maps, where a full disk ends the process.
    fn has_room(&self) -> Result<(), Error> {
        let disk =
            statvfs(&self.folder).map_err(|error| Error::io("cannot ask", &self.folder)(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= self.min_free {
            return Ok(());
        }
        Err(Error::NoSpace {
            free,
            least: self.min_free,
        })
    }
}

fn upsert(shard: &Shard, mut points: Vec<Point>) -> Result<(), Error> {
    let ids: Vec<_> = points.iter().map(|point| PointId::Uuid(point.id)).collect();
    let there = tenants(shard, &ids)?;
    points.retain(|point| {
        let owner = there.iter().find(|(id, _)| *id == point.id);
        owner.is_none_or(|(_, tenant)| *tenant == point.tags.tenant)
    });
    if points.is_empty() {
        return Ok(());
    }
    let count = points.len();
    let points = PointInsertOperations::PointsList(points.into_iter().map(convert::point).collect());
    shard.write(
        count,
        UpdateOperation::PointOperation(PointOperations::UpsertPoints(points)),
    )
}

fn delete(shard: &Shard, tenant: &str, ids: Vec<Uuid>) -> Result<(), Error> {
    let ids: Vec<_> = ids.into_iter().map(PointId::Uuid).collect();
    let there = tenants(shard, &ids)?;
    let ours = there.into_iter().filter(|(_, owner)| owner == tenant);
    let ids: Vec<_> = ours.map(|(id, _)| PointId::Uuid(id)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    shard.write(
        ids.len(),
        UpdateOperation::PointOperation(PointOperations::DeletePoints { ids }),
    )
}

/// Whose those of the points are that are there.
fn tenants(shard: &Shard, ids: &[PointId]) -> Result<Vec<(Uuid, String)>, Error> {
    let payload = WithPayloadInterface::Fields(vec![convert::path("tenant")]);
    let records = shard.read(|engine| engine.retrieve(ids, Some(payload), None))?;
    let known = records.iter().filter_map(|record| {
        let id = convert::id(record.id)?;
        Some((id, convert::tenant(record)?.to_owned()))
    });
    Ok(known.collect())
}

/// The same failure for each of those who wait for one flush.
fn again(result: &Result<(), Error>) -> Result<(), Error> {
    match result {
        Ok(()) => Ok(()),
        Err(Error::Damaged { name, reason }) => Err(Error::Damaged {
            name: name.clone(),
            reason: reason.clone(),
        }),
        Err(Error::Missing { name }) => Err(Error::Missing { name: name.clone() }),
        Err(_) => Err(Error::Busy),
    }
}
