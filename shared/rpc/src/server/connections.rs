//! The connections of one listener: bounded in number, none outlives it, and strangers' and idle ones make room for newcomers.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a connection may take to finish its calls once the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// How long a connection that makes room may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(100);
/// After an accept that failed for want of a descriptor or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// After so long, a connection over which nobody who is known has called is the first to go.
const STRANGE: Duration = Duration::from_secs(10);
/// One in so many connections goes when the table is full, so that a flood of newcomers costs few rounds.
const BATCH: usize = 64;

/// One connection's place in the table.
pub(crate) struct Seat {
    table_begun: Instant,
    busy: AtomicUsize,
    /// Milliseconds of the table's life.
    idle_since: AtomicU64,
    served: AtomicBool,
    /// At a port that is open to anyone: nobody who is known has called yet.
    strange: AtomicBool,
    /// When it was taken, in the table's life.
    taken: Duration,
    out: CancellationToken,
    idled: Arc<Notify>,
}

/// A request that has not been answered to its end.
pub(crate) struct InFlight(Arc<Seat>);

impl Seat {
    pub(crate) fn new(table_begun: Instant, idled: Arc<Notify>) -> Self {
        let seat = Self {
            table_begun,
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            served: AtomicBool::new(false),
            strange: AtomicBool::new(false),
            taken: table_begun.elapsed(),
            out: CancellationToken::new(),
            idled,
        };
        seat.rest();
        seat
    }

    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.served.store(true, Ordering::Relaxed);
        self.busy.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Cancelled when this connection must make room.
    pub(crate) fn out(&self) -> &CancellationToken {
        &self.out
    }

    /// Resolves once no request has been in flight for `first` before the first one, for `later` after it.
    pub(crate) async fn idle_for(&self, first: Duration, later: Duration) {
        loop {
            let limit = if self.has_served() { later } else { first };
            let resting = self.resting();
            match resting.map(|resting| limit.checked_sub(resting)) {
                Some(None | Some(Duration::ZERO)) => return,
                Some(Some(left)) => tokio::time::sleep(left).await,
                None => tokio::time::sleep(limit).await,
            }
        }
    }

    /// Anyone may be at the other end.
    pub(crate) fn mark_strange(&self) {
        self.strange.store(true, Ordering::Relaxed);
    }

    /// Somebody who is known is at the other end.
    pub(crate) fn mark_known(&self) {
        self.strange.store(false, Ordering::Relaxed);
    }

    /// How long it has been a stranger's; `None` when it is none.
    fn strange(&self) -> Option<Duration> {
        let strange = self.strange.load(Ordering::Relaxed);
        strange.then(|| self.table_begun.elapsed().saturating_sub(self.taken))
    }

    fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.resting().is_some()
    }

    /// For how long nothing has been in flight; `None` while something is.
    fn resting(&self) -> Option<Duration> {
        (self.busy.load(Ordering::Relaxed) == 0).then(|| {
            let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
            self.table_begun.elapsed().saturating_sub(since)
        })
    }

    fn rest(&self) {
        let now = u64::try_from(self.table_begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.store(now, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.rest();
        if self.0.busy.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idled.notify_one();
        }
    }
}

/// At most so many connections at once. A newcomer at a full table takes the place of a stranger who has been there for a
/// while, else that of the connection that has been idle for longest, else that of any stranger: a stranger's call that does
/// not end keeps nobody out. While every connection has a request of somebody known in flight, newcomers wait.
pub(crate) struct Connections {
    most: usize,
    tasks: JoinSet<()>,
    seats: HashMap<Id, Arc<Seat>>,
    begun: Instant,
    idled: Arc<Notify>,
    stop: CancellationToken,
}

impl Connections {
    pub(crate) fn new(most: usize, stop: CancellationToken) -> Self {
        Self {
            most: most.max(1),
            tasks: JoinSet::new(),
            seats: HashMap::new(),
            begun: Instant::now(),
            idled: Arc::default(),
            stop,
        }
    }

    /// The next socket and its peer when there is room for it; `None` once the server is to stop.
    pub(crate) async fn next<S, A>(
        &mut self,
        mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(S, A)>>,
    ) -> Option<(S, A)> {
        let stop = self.stop.clone();
        let next = async {
            loop {
                match poll_fn(&mut accept).await {
                    Ok(accepted) => {
                        self.make_room().await;
                        return accepted;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        self.evict();
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(next).await
    }

    /// Runs a connection until it ends, or has made room.
    pub(crate) fn spawn<F>(&mut self, serve: impl FnOnce(Arc<Seat>, CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let seat = Arc::new(Seat::new(self.begun, Arc::clone(&self.idled)));
        let connection = serve(Arc::clone(&seat), self.stop.clone());
        let mine = Arc::clone(&seat);
        let task = self.tasks.spawn(async move {
            let sent_away = async {
                mine.out().cancelled().await;
                if mine.has_served() {
                    tokio::time::sleep(FAREWELL).await;
                }
            };
            tokio::select! {
                () = connection => {}
                () = sent_away => {}
            }
        });
        self.seats.insert(task.id(), seat);
    }

    /// Waits for the connections to finish what was begun, at most 10 s.
    pub(crate) async fn end(mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("connections were cut: their calls did not end in time");
        }
        self.tasks.shutdown().await;
    }

    async fn make_room(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(&ended);
        }
        while self.tasks.len() >= self.most {
            self.evict();
            let idled = Arc::clone(&self.idled);
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.forget(&ended),
                () = idled.notified() => {}
            }
        }
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.seats.remove(&id);
    }

    /// Sends those away who are the first to go, unless others are on their way out already.
    fn evict(&self) {
        if self.seats.values().any(|seat| seat.out.is_cancelled()) {
            return;
        }
        let mut leaving = self.those(|seat| seat.strange().filter(|strange| *strange >= STRANGE));
        if leaving.is_empty() {
            leaving = self.those(Seat::resting);
        }
        if leaving.is_empty() {
            leaving = self.those(Seat::strange);
        }
        leaving.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
        let count = self.seats.len() / BATCH + 1;
        for (_, seat) in leaving.into_iter().take(count) {
            seat.out.cancel();
        }
    }

    /// The seats of which that can be said, and for how long.
    fn those(&self, since: impl Fn(&Seat) -> Option<Duration>) -> Vec<(Duration, &Seat)> {
        let seats = self.seats.values().map(|seat| &**seat);
        seats.filter_map(|seat| Some((since(seat)?, seat))).collect()
    }
}
