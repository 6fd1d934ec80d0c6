//! Building indexes in the background: one at a time, at low priority, while searches and writes go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::process::setpriority_process;
use tokio::sync::oneshot;

use super::Home;
use super::shard::Shard;
use super::writer::Writer;
use super::{journal, pool};
use crate::Error;

/// How much less than others the thread is worth to the scheduler, and all that it starts.
const NICE: i32 = 10;
/// Full files of the engine's log before they are given back.
const MOST_FULL: usize = 16;
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

type Answer = oneshot::Sender<Result<bool, Error>>;

pub(super) struct Indexer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: VecDeque<(Arc<Shard>, Answer)>,
    closed: bool,
}

impl Indexer {
    pub(super) fn start(home: Arc<Home>, writer: Arc<Writer>) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let works = Arc::clone(&queue);
        let thread = pool::spawn("vectors-index", move || works.run(&home, &writer))?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Looks at the index now; whether anything was built.
    pub(super) async fn look(&self, shard: Arc<Shard>) -> Result<bool, Error> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.queue.state.lock();
            if state.closed {
                return Err(Error::Closed);
            }
            state.asked.push_back((shard, answer));
        }
        self.queue.changed.notify_one();
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Begins no other index.
    pub(super) fn stop(&self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_all();
    }

    /// Begins no other index; returns when the one that is being built is. Blocks.
    pub(super) fn close(&self) {
        self.stop();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn run(&self, home: &Home, writer: &Writer) {
        // Of this thread, as Linux has it. The engine works as well at the usual priority.
        if let Err(error) = setpriority_process(None, NICE) {
            tracing::debug!(%error, "indexes are built at the usual priority");
        }
        let idle = home.config.index_idle.as_duration();
        let pause = (idle / 4).clamp(LOOK.0, LOOK.1);
        loop {
            let asked = {
                let mut state = self.state.lock();
                if state.closed {
                    return;
                }
                if state.asked.is_empty() {
                    self.changed.wait_for(&mut state, pause);
                }
                state.asked.pop_front()
            };
            if let Some((shard, answer)) = asked {
                let _ = answer.send(look(home, writer, &shard));
            } else if let Some(shard) = due(home, idle)
                && let Err(error) = look(home, writer, &shard)
            {
                tracing::warn!(collection = shard.collection.name, %error, "the index was not built");
            }
        }
    }
}

/// The collection that had most written to it, of those whose index should be looked at.
fn due(home: &Home, idle: Duration) -> Option<Arc<Shard>> {
    let after = u64::from(home.config.index_after);
    let shards = home.shards.read();
    let due = shards.values().filter(|shard| {
        let unseen = shard.unseen();
        unseen.points >= after || (unseen.points > 0 && unseen.last.elapsed() >= idle)
    });
    due.max_by_key(|shard| shard.unseen().points).map(Arc::clone)
}

fn look(home: &Home, writer: &Writer, shard: &Arc<Shard>) -> Result<bool, Error> {
    let _alone = shard.indexing.blocking_lock();
    shard.seen();
    let built = shard.read(|engine| engine.optimize())?;
    if journal::full(&shard.folder) > MOST_FULL {
        let (shard, config) = (Arc::clone(shard), home.config.clone());
        writer.alone_blocking(move || shard.shorten_journal(&config))?;
    }
    Ok(built)
}
