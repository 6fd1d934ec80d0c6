//! The runs that this node drives now: what each has done so far, for whoever listens, and the handle to stop it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::Stream;
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{RunId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Events that a listener may lag behind before it misses deltas. Journalled events are never missed. Every run that is driven
/// here, and be it only waiting, pays for so many places.
const LAG: usize = 256;

/// The runs of this node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hub {
    runs: Arc<Mutex<HashMap<RunId, Arc<LiveRun>>>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct LiveRun {
    /// Its id.
    pub id: RunId,
    /// Cancelled when somebody wants it to stop.
    pub cancel: CancellationToken,
    expires: AtomicI64,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    journalled: Vec<Arc<RunEvent>>,
    /// Absent once the run has ended here.
    live: Option<broadcast::Sender<Arc<RunEvent>>>,
}

/// Takes the run out of the hub, and ends its listeners' streams, when this node stops driving it for whatever reason.
#[derive(Debug)]
pub(crate) struct Driving {
    hub: Hub,
    run: Arc<LiveRun>,
}

impl Hub {
    /// The run, if it is driven here.
    pub(crate) fn get(&self, run: RunId) -> Option<Arc<LiveRun>> {
        self.runs.lock().get(&run).cloned()
    }

    /// Starts driving a run. `None` when it is driven here already.
    pub(crate) fn drive(&self, id: RunId, lease_expires: Timestamp) -> Option<Driving> {
        let mut runs = self.runs.lock();
        if runs.contains_key(&id) {
            return None;
        }
        let (live, _) = broadcast::channel(LAG);
        let run = Arc::new(LiveRun {
            id,
            cancel: CancellationToken::new(),
            expires: AtomicI64::new(lease_expires.as_millis()),
            told: Mutex::new(Told {
                journalled: Vec::new(),
                live: Some(live),
            }),
        });
        runs.insert(id, Arc::clone(&run));
        Some(Driving {
            hub: self.clone(),
            run,
        })
    }
}

impl Driving {
    /// The run.
    pub(crate) fn run(&self) -> &Arc<LiveRun> {
        &self.run
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.hub.runs.lock().remove(&self.run.id);
        self.run.told.lock().live = None;
    }
}

impl LiveRun {
    /// When the lease ends, by memory's clock, as last heard.
    pub(crate) fn lease_expires(&self) -> Timestamp {
        Timestamp::from_millis(self.expires.load(Ordering::Acquire))
    }

    /// The lease was renewed.
    pub(crate) fn renewed(&self, expires: Timestamp) {
        self.expires.store(expires.as_millis(), Ordering::Release);
    }

    /// Tells listeners what was journalled.
    pub(crate) fn journalled(&self, events: Vec<RunEvent>) {
        let mut told = self.told.lock();
        for event in events.into_iter().map(Arc::new) {
            if let Some(live) = &told.live {
                // nobody may be listening
                let _ = live.send(Arc::clone(&event));
            }
            told.journalled.push(event);
        }
    }

    /// Tells listeners something that is not stored.
    pub(crate) fn passing(&self, event: RunEvent) {
        if let Some(live) = &self.told.lock().live {
            let _ = live.send(Arc::new(event));
        }
    }

    /// Everything that was journalled here, then what follows, until this node stops driving the run.
    pub(crate) fn events(self: &Arc<Self>) -> impl Stream<Item = RunEvent> + Send + 'static {
        let told = self.told.lock();
        let listener = Listener {
            run: Arc::clone(self),
            live: told.live.as_ref().map(broadcast::Sender::subscribe),
            ready: told.journalled.iter().cloned().collect(),
            seen: 0,
        };
        drop(told);
        futures_util::stream::unfold(listener, async |mut listener| {
            let event = listener.next().await?;
            Some((Arc::unwrap_or_clone(event), listener))
        })
    }

    fn journalled_after(&self, cursor: u64) -> VecDeque<Arc<RunEvent>> {
        self.told
            .lock()
            .journalled
            .iter()
            .filter(|event| event.cursor > cursor)
            .cloned()
            .collect()
    }
}

struct Listener {
    run: Arc<LiveRun>,
    live: Option<broadcast::Receiver<Arc<RunEvent>>>,
    ready: VecDeque<Arc<RunEvent>>,
    seen: u64,
}

impl Listener {
    async fn next(&mut self) -> Option<Arc<RunEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.seen = self.seen.max(event.cursor);
                return Some(event);
            }
            let live = self.live.as_mut()?;
            match live.recv().await {
                Ok(event) if is_passing(&event) => return Some(event),
                Ok(event) if event.cursor > self.seen => self.ready.push_back(event),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.ready = self.run.journalled_after(self.seen),
                Err(RecvError::Closed) => {
                    self.live = None;
                    self.ready = self.run.journalled_after(self.seen);
                }
            }
        }
    }
}

fn is_passing(event: &RunEvent) -> bool {
    matches!(event.event, Some(Event::TextDelta(_) | Event::ToolOutput(_)))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use harombe_proto::types::v1::{RunStarted, TextDelta};
    use harombe_types::SystemClock;

    use super::*;

    fn journalled(cursor: u64) -> RunEvent {
        let event = Some(Event::RunStarted(RunStarted::default()));
        RunEvent {
            cursor,
            event,
            ..RunEvent::default()
        }
    }

    fn delta(offset: u64) -> RunEvent {
        let event = Some(Event::TextDelta(TextDelta {
            offset,
            ..TextDelta::default()
        }));
        RunEvent {
            event,
            ..RunEvent::default()
        }
    }

    #[tokio::test]
    async fn a_listener_that_lags_misses_deltas_and_nothing_else() {
        let hub = Hub::default();
        let driving = hub
            .drive(RunId::generate(&SystemClock), Timestamp::default())
            .unwrap();
        let run = Arc::clone(driving.run());
        run.journalled(vec![journalled(1)]);
        let events = run.events();
        for offset in 0..5000 {
            run.passing(delta(offset));
        }
        run.journalled(vec![journalled(2), journalled(3)]);
        drop(driving);
        run.passing(delta(9));
        let cursors: Vec<_> = events
            .filter(|event| std::future::ready(!is_passing(event)))
            .map(|event| event.cursor)
            .collect()
            .await;
        assert_eq!(cursors, [1, 2, 3]);
        let late: Vec<_> = run.events().map(|event| event.cursor).collect().await;
        assert_eq!(late, [1, 2, 3]);
        assert!(hub.get(run.id).is_none());
    }

    #[test]
    fn a_run_is_driven_once() {
        let hub = Hub::default();
        let id = RunId::generate(&SystemClock);
        let driving = hub.drive(id, Timestamp::default()).unwrap();
        assert!(hub.drive(id, Timestamp::default()).is_none());
        drop(driving);
        assert!(hub.drive(id, Timestamp::default()).is_some());
    }
}
