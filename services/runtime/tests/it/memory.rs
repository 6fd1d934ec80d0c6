//! memory as its proto has it: one session, journals with cursors, leases with epochs.

mod conversations;
mod journal;
mod recall;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::conversation_service_server::ConversationServiceServer;
use harombe_proto::memory::v1::memory_service_server::MemoryServiceServer;
use harombe_proto::memory::v1::run_journal_service_server::RunJournalServiceServer;
use harombe_proto::memory::v1::{Author, JournalEntry, Lease, RunState, Turn};
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use harombe_rpc::{GrpcChannel, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, ServiceName, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::{Response, Status};

use crate::world::server;

pub(crate) const PERIOD: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    server: Option<Server>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) runs: BTreeMap<String, Run>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) workspace: String,
    pub(crate) appends: usize,
    /// What is remembered of other sessions.
    pub(crate) memories: Vec<wire::Memory>,
    /// Asked for contexts.
    pub(crate) asked: Vec<wire::BuildContextRequest>,
    pub(crate) remembered: Vec<wire::RememberRequest>,
    pub(crate) forgotten: Vec<String>,
    /// Cannot recall for a context.
    pub(crate) no_recall: bool,
    /// Answers UNAVAILABLE to everything about memories but contexts.
    pub(crate) memories_away: bool,
    /// Whether each turn that ended was shown what may be anybody's words.
    pub(crate) saw_outside: Vec<Option<bool>>,
    /// Answers UNAVAILABLE to the next context after a turn was begun.
    pub(crate) lose_after_begin: bool,
    /// Begins the next turn, and answers only who asks again.
    pub(crate) lose_begin: bool,
    /// Refuses so many writes.
    pub(crate) failures: usize,
    /// With what; UNAVAILABLE when with nothing else.
    pub(crate) refusal: Option<Failure>,
    /// How many leases each call was to renew.
    pub(crate) renewals: Vec<usize>,
    /// Answers no renewal.
    pub(crate) deaf: bool,
    /// What is to be summed up, in turn.
    pub(crate) work: Vec<wire::SummaryWork>,
    /// Bytes of turns that were asked for to sum them up.
    pub(crate) wanted_work: Vec<u32>,
    /// What was written of it.
    pub(crate) summaries: Vec<wire::PutSummaryRequest>,
    /// What was to be summed up is not there any more.
    pub(crate) outdated: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Run {
    pub(crate) token: String,
    pub(crate) session: String,
    pub(crate) text: String,
    pub(crate) client_message_id: String,
    pub(crate) client_instructions: String,
    pub(crate) entries: Vec<JournalEntry>,
    pub(crate) epoch: u64,
    pub(crate) expires: Timestamp,
    pub(crate) state: RunState,
    pub(crate) cancel: bool,
}

impl State {
    /// The run of the last turn that was closed.
    fn last_run(&self) -> String {
        let mut ended = self.turns.iter().filter(|turn| !turn.claimed);
        ended
            .next_back()
            .map(|turn| turn.run_id.clone())
            .unwrap_or_default()
    }
}

fn claimed_turn(claimed: ClaimedMessage) -> Turn {
    let author = match claimed.role() {
        ClaimedRole::Assistant => Author::Assistant,
        ClaimedRole::User | ClaimedRole::Unspecified => Author::User,
    };
    Turn {
        messages: vec![wire::Message {
            author: author.into(),
            text: claimed.text,
            ..wire::Message::default()
        }],
        claimed: true,
        ..Turn::default()
    }
}

fn lease(run: &Run) -> Option<Lease> {
    Some(Lease {
        epoch: run.epoch,
        ttl: ttl(),
    })
}

fn ttl() -> Option<prost_types::Duration> {
    PERIOD.try_into().ok()
}

fn lost() -> Status {
    Failure::new(
        Code::FailedPrecondition,
        Reason::LeaseLost,
        "the lease is another's",
    )
    .to_status()
}

fn not_used<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("runtime has no use for it"))
}

impl Memory {
    pub(crate) fn new(pki: &TestPki, clock: Arc<dyn Clock>) -> Self {
        let mut memory = Self {
            state: Arc::default(),
            changed: watch::Sender::new(0),
            clock: clock.clone(),
            server: None,
        };
        let handlers = memory.clone();
        memory.server = Some(server(ServiceName::Memory, pki, clock, |builder| {
            builder
                .service(ConversationServiceServer::new(handlers.clone()))
                .service(MemoryServiceServer::new(handlers.clone()))
                .service(RunJournalServiceServer::new(handlers))
        }));
        memory
    }

    pub(crate) fn channel(&self) -> GrpcChannel {
        GrpcChannel::local(self.server.as_ref().unwrap(), ServiceName::Runtime)
    }

    /// Waits until the state fits.
    pub(crate) async fn wait_until(&self, fits: impl Fn(&State) -> bool) {
        let mut changes = self.changed.subscribe();
        while !fits(&self.state.lock()) {
            changes.changed().await.unwrap();
        }
    }

    fn told(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(crate) fn the_run(&self) -> Run {
        self.state.lock().runs.values().next().unwrap().clone()
    }

    /// The journal as a client that watches would see it.
    pub(crate) fn events(&self) -> Vec<harombe_proto::types::v1::RunEvent> {
        self.the_run()
            .entries
            .into_iter()
            .filter_map(|entry| entry.event)
            .collect()
    }

    fn held<R>(
        &self,
        run: &str,
        epoch: u64,
        act: impl FnOnce(&mut Run) -> Result<R, Status>,
    ) -> Result<R, Status> {
        let mut state = self.state.lock();
        if state.failures > 0 {
            state.failures -= 1;
            let away = || Status::unavailable("away");
            return Err(state.refusal.as_ref().map_or_else(away, Failure::to_status));
        }
        let run = state
            .runs
            .get_mut(run)
            .ok_or_else(|| Status::not_found("no such run"))?;
        if run.epoch != epoch || run.state != RunState::Active {
            return Err(lost());
        }
        let result = act(run);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        result
    }
}

fn put(run: &mut Run, entries: Vec<JournalEntry>) -> u64 {
    for mut entry in entries {
        let cursor = run.entries.len() as u64 + 1;
        if entry.cursor != 0 {
            assert_eq!(entry.cursor, cursor, "the node counts as the journal does");
        }
        entry.cursor = cursor;
        run.entries.push(entry);
    }
    run.entries.len() as u64
}
