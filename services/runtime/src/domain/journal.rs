//! A run's journal, as the node writes it: every write under the lease, in order, and told to listeners once it is stored.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1::{AppendRequest, FinishTurnRequest, JournalEntry, Message, RunState};
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{Clock, RunId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::events::{Entry, Events, Stop};
use crate::live::LiveRun;
use crate::peers::{Memory, is_unreachable};

/// Bytes after which no further call's steps join a write.
const MAX_WRITE: usize = 1 << 20;

/// Steps of calls that wait to be journalled together.
const RECORDS: usize = 64;

/// Writes one run's journal.
pub(crate) struct Writer {
    /// Where it is.
    pub memory: Memory,
    /// By what right.
    pub token: Arc<str>,
    /// Of the last entry.
    pub cursor: u64,
    /// Who listens, and the lease.
    pub live: Arc<LiveRun>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Entries that go with the next write.
    pub pending: Vec<Entry>,
}

/// How a turn ends.
pub(crate) struct End {
    /// What is told of it.
    pub event: Event,
    /// What the turn adds to the session.
    pub messages: Vec<Message>,
    /// The run's.
    pub state: RunState,
    /// The model was shown what may be anybody's words.
    pub saw_outside: bool,
}

/// Where calls leave their steps, and where the loop takes them.
pub(crate) fn records() -> (mpsc::Sender<Record>, mpsc::Receiver<Record>) {
    mpsc::channel(RECORDS)
}

impl Writer {
    /// Adds entries that need not be stored before the next ones.
    pub(crate) fn add(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.pending.extend(entries);
    }

    /// Tells listeners something that is not stored.
    pub(crate) fn pass(&self, event: Event) {
        self.live.passing(self.event(self.cursor, event));
    }

    /// What one call sees of this journal.
    pub(crate) fn steps(&self, records: mpsc::Sender<Record>) -> Steps {
        let (live, clock) = (Arc::clone(&self.live), Arc::clone(&self.clock));
        Steps {
            records,
            live,
            clock,
            cursor: self.cursor,
        }
    }

    /// Journals everything that calls have ready, with one write.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(crate) async fn write(
        &mut self,
        first: Record,
        more: &mut mpsc::Receiver<Record>,
    ) -> Result<(), Stop> {
        let mut bytes = first.bytes();
        let mut records = vec![first];
        while bytes < MAX_WRITE
            && let Ok(record) = more.try_recv()
        {
            bytes += record.bytes();
            records.push(record);
        }
        let (entries, written): (Vec<_>, Vec<_>) = records
            .into_iter()
            .map(|record| (record.entries, record.written))
            .unzip();
        self.append(entries.into_iter().flatten().collect()).await?;
        for written in written {
            // the call may be gone
            let _ = written.send(());
        }
        Ok(())
    }

    /// Writes entries, and those that wait, and tells listeners.
    ///
    /// # Errors
    /// [`Stop`]: nothing more may be written here, or these entries cannot be stored.
    pub(crate) async fn append(&mut self, entries: Vec<Entry>) -> Result<(), Stop> {
        let entries = self.numbered(entries);
        let told = told(&entries);
        let request = AppendRequest {
            epoch: self.live.epoch,
            entries,
            expected_cursor: self.cursor,
        };
        let written = self
            .insist(|| self.memory.append(&self.token, request.clone()))
            .await?;
        self.cursor = written.cursor;
        self.live.journalled(told);
        if written.cancel_requested {
            self.live.cancel.cancel();
        }
        Ok(())
    }

    /// Writes the run's last entry, closes the turn and gives the lease back.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub(crate) async fn close(&mut self, end: End) -> Result<(), Stop> {
        let entries = self.numbered(vec![end.event.into()]);
        let told = told(&entries);
        let request = FinishTurnRequest {
            epoch: self.live.epoch,
            messages: end.messages,
            entries,
            state: end.state.into(),
            saw_outside: Some(end.saw_outside),
        };
        self.cursor = self
            .insist(|| self.memory.finish(&self.token, request.clone()))
            .await?;
        self.live.journalled(told);
        Ok(())
    }

    /// Tries a write until it succeeds or the lease is over.
    async fn insist<T, F>(&self, write: impl Fn() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            let failure = match write().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            // too many calls at the moment
            let busy = failure.code == Code::ResourceExhausted && failure.retry_after.is_some();
            // a write that is too long for gRPC is OUT_OF_RANGE there, which is an invalid argument here
            if !busy && matches!(failure.code, Code::InvalidArgument | Code::ResourceExhausted) {
                let message = format!("A step of the run could not be stored: {failure}.");
                return Err(Stop::Fail {
                    reason: failure.reason,
                    message,
                });
            }
            if failure.reason == Reason::LeaseLost {
                self.live.lost();
            }
            if !(busy || is_unreachable(&failure)) || Instant::now() >= self.live.lease_ends() {
                let Failure { reason, .. } = failure;
                tracing::warn!(run = %self.live.id, %reason, error = %failure, "the journal cannot be written");
                return Err(Stop::Leave);
            }
            tokio::time::sleep(pause.max(failure.retry_after.unwrap_or_default())).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// The entries that wait and these, with their places in the journal.
    fn numbered(&mut self, entries: Vec<Entry>) -> Vec<JournalEntry> {
        let pending = std::mem::take(&mut self.pending);
        let places = self.cursor + 1..;
        pending
            .into_iter()
            .chain(entries)
            .zip(places)
            .map(|(entry, cursor)| self.journalled(entry, cursor))
            .collect()
    }

    fn journalled(&self, entry: Entry, cursor: u64) -> JournalEntry {
        let event = entry.event.map(|event| self.event(cursor, event));
        let state = entry.state.map(|state| state.encode().into()).unwrap_or_default();
        JournalEntry { cursor, event, state }
    }

    fn event(&self, cursor: u64, event: Event) -> RunEvent {
        stamped(self.live.id, cursor, self.clock.as_ref(), event)
    }
}

/// An event with its run, place and time.
pub(crate) fn stamped(run: RunId, cursor: u64, clock: &dyn Clock, event: Event) -> RunEvent {
    let time = Some(clock.now().into());
    RunEvent {
        run_id: run.to_string(),
        cursor,
        time,
        event: Some(event),
    }
}

/// Steps of one call that are to be journalled, and whom to tell when they are.
pub(crate) struct Record {
    entries: Vec<Entry>,
    written: oneshot::Sender<()>,
}

impl Record {
    fn bytes(&self) -> usize {
        self.entries.iter().map(Entry::encoded_len).sum()
    }
}

/// What a call sees of its run's journal: the loop does the writing, for all calls together.
pub(crate) struct Steps {
    records: mpsc::Sender<Record>,
    live: Arc<LiveRun>,
    clock: Arc<dyn Clock>,
    /// Of the last entry when the call began; deltas carry it.
    cursor: u64,
}

#[async_trait]
impl Events for Steps {
    async fn record(&self, entries: Vec<Entry>) -> Result<(), Stop> {
        let (written, done) = oneshot::channel();
        // the loop goes away only together with this call
        self.records
            .send(Record { entries, written })
            .await
            .map_err(|_| Stop::Leave)?;
        done.await.map_err(|_| Stop::Leave)
    }

    fn pass(&self, event: Event) {
        self.live
            .passing(stamped(self.live.id, self.cursor, self.clock.as_ref(), event));
    }
}

fn told(entries: &[JournalEntry]) -> Vec<RunEvent> {
    entries.iter().filter_map(|entry| entry.event.clone()).collect()
}
