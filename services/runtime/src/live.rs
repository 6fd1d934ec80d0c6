//! The runs that this node drives now: what each has done so far, for whoever listens, and the handle to stop it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::Stream;
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{RunId, RunPrincipal, Tenant};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::peers::{Lease, Term};

/// Events that a listener may lag behind before it misses deltas. Journalled events are never missed.
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
    /// Whose it is.
    pub tenant: Tenant,
    /// Of its lease; named by every write.
    pub epoch: u64,
    /// Cancelled when somebody wants it to stop.
    pub cancel: CancellationToken,
    /// Cancelled when memory says that the lease is another's.
    lost: CancellationToken,
    hold: Mutex<Hold>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Hold {
    term: Term,
    /// The run has ended at memory: what is left of its lease is all that there will be.
    last: bool,
}

#[derive(Debug)]
struct Told {
    journalled: Vec<Arc<RunEvent>>,
    /// The listeners; absent once the run has ended here.
    live: Option<Vec<mpsc::Sender<Arc<RunEvent>>>>,
}

/// What a listener has not heard yet, and where it hears the rest, if there may be any.
type Joined = (VecDeque<Arc<RunEvent>>, Option<mpsc::Receiver<Arc<RunEvent>>>);

impl Told {
    /// A listener that is too far behind is let go; it joins again when it has heard what it was told.
    fn tell(&mut self, event: &Arc<RunEvent>) {
        if let Some(live) = &mut self.live {
            live.retain(|listener| listener.try_send(Arc::clone(event)).is_ok());
        }
    }

    fn join(&mut self, after: u64) -> Joined {
        let missed = self.journalled.iter().filter(|event| event.cursor > after);
        let live = self.live.as_mut().map(|live| {
            live.retain(|listener| !listener.is_closed());
            let (listener, events) = mpsc::channel(LAG);
            live.push(listener);
            events
        });
        (missed.cloned().collect(), live)
    }
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

    /// The runs whose leases are to be renewed: none as long as none is due, then all that can go with it.
    pub(crate) fn due(&self, now: Instant) -> Vec<Arc<LiveRun>> {
        let runs = self.runs.lock();
        if !runs.values().any(|run| run.renews(|term| term.is_due(now))) {
            return Vec::new();
        }
        runs.values()
            .filter(|run| run.renews(|term| term.may_be_renewed(now)))
            .cloned()
            .collect()
    }

    /// Starts driving a run. `None` when it is driven here already.
    pub(crate) fn drive(&self, principal: &RunPrincipal, lease: Lease) -> Option<Driving> {
        let id = principal.run;
        let mut runs = self.runs.lock();
        if runs.contains_key(&id) {
            return None;
        }
        let run = Arc::new(LiveRun {
            id,
            tenant: principal.tenant.clone(),
            epoch: lease.epoch,
            cancel: CancellationToken::new(),
            lost: CancellationToken::new(),
            hold: Mutex::new(Hold {
                term: lease.term,
                last: false,
            }),
            told: Mutex::new(Told {
                journalled: Vec::new(),
                live: Some(Vec::new()),
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
    /// When the lease ends unless it is renewed.
    pub(crate) fn lease_ends(&self) -> Instant {
        self.hold.lock().term.ends()
    }

    /// Waits for that, or for word that the lease is another's. Nothing may be written afterwards.
    pub(crate) async fn lease_over(&self) {
        loop {
            let ends = self.lease_ends();
            tokio::select! {
                () = self.lost.cancelled() => return,
                () = tokio::time::sleep_until(ends) => {}
            }
            if self.lease_ends() == ends {
                return;
            }
        }
    }

    /// Whether that has come.
    pub(crate) fn is_lease_over(&self) -> bool {
        self.lost.is_cancelled() || Instant::now() >= self.lease_ends()
    }

    /// The lease was renewed.
    pub(crate) fn renewed(&self, term: Term) {
        self.hold.lock().term = term;
    }

    /// The lease is another's.
    pub(crate) fn lost(&self) {
        self.lost.cancel();
    }

    /// There is nothing to renew any more: the run's end is stored, and the answer that says so is on its way here.
    pub(crate) fn ended(&self) {
        self.hold.lock().last = true;
    }

    fn renews(&self, when: impl Fn(Term) -> bool) -> bool {
        let hold = self.hold.lock();
        !hold.last && when(hold.term)
    }

    /// Tells listeners what was journalled.
    pub(crate) fn journalled(&self, events: Vec<RunEvent>) {
        let mut told = self.told.lock();
        for event in events.into_iter().map(Arc::new) {
            told.tell(&event);
            told.journalled.push(event);
        }
    }

    /// Tells listeners something that is not stored.
    pub(crate) fn passing(&self, event: RunEvent) {
        self.told.lock().tell(&Arc::new(event));
    }

    /// Everything that was journalled here, then what follows, until this node stops driving the run.
    pub(crate) fn events(self: &Arc<Self>) -> impl Stream<Item = RunEvent> + Send + 'static {
        let (ready, live) = self.told.lock().join(0);
        let listener = Listener {
            run: Arc::clone(self),
            live,
            ready,
            seen: 0,
        };
        futures_util::stream::unfold(listener, async |mut listener| {
            let event = listener.next().await?;
            Some((Arc::unwrap_or_clone(event), listener))
        })
    }
}

struct Listener {
    run: Arc<LiveRun>,
    live: Option<mpsc::Receiver<Arc<RunEvent>>>,
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
                Some(event) if is_passing(&event) => return Some(event),
                Some(event) => self.ready.push_back(event),
                // it was let go, or the run has ended here
                None => (self.ready, self.live) = self.run.told.lock().join(self.seen),
            }
        }
    }
}

fn is_passing(event: &RunEvent) -> bool {
    matches!(event.event, Some(Event::TextDelta(_) | Event::ToolOutput(_)))
}

#[cfg(test)]
mod tests;
