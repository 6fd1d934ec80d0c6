//! memory as its proto has it: one session, journals with cursors, leases with epochs.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::conversation_service_server::{
    ConversationService, ConversationServiceServer,
};
use harombe_proto::memory::v1::read_response::Item;
use harombe_proto::memory::v1::run_journal_service_server::{RunJournalService, RunJournalServiceServer};
use harombe_proto::memory::v1::{Author, JournalEntry, Lease, Renewal, RunState, Turn};
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use harombe_rpc::{CallerExt as _, GrpcChannel, RequestExt as _, Server};
use harombe_testkit::TestPki;
use harombe_types::{Clock, ServiceName, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

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
    /// Answers UNAVAILABLE to the next history after a turn was begun.
    pub(crate) lose_after_begin: bool,
    /// Answers UNAVAILABLE to so many writes.
    pub(crate) failures: usize,
    /// How many leases each call was to renew.
    pub(crate) renewals: Vec<usize>,
    /// Answers no renewal.
    pub(crate) deaf: bool,
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
            return Err(Status::unavailable("away"));
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

#[tonic::async_trait]
impl ConversationService for Memory {
    async fn create_session(
        &self,
        _: Request<wire::CreateSessionRequest>,
    ) -> Result<Response<wire::CreateSessionResponse>, Status> {
        not_used()
    }

    async fn get_session(
        &self,
        _: Request<wire::GetSessionRequest>,
    ) -> Result<Response<wire::GetSessionResponse>, Status> {
        not_used()
    }

    async fn list_sessions(
        &self,
        _: Request<wire::ListSessionsRequest>,
    ) -> Result<Response<wire::ListSessionsResponse>, Status> {
        not_used()
    }

    async fn delete_session(
        &self,
        _: Request<wire::DeleteSessionRequest>,
    ) -> Result<Response<wire::DeleteSessionResponse>, Status> {
        not_used()
    }

    async fn list_messages(
        &self,
        _: Request<wire::ListMessagesRequest>,
    ) -> Result<Response<wire::ListMessagesResponse>, Status> {
        not_used()
    }

    async fn get_history(
        &self,
        _: Request<wire::GetHistoryRequest>,
    ) -> Result<Response<wire::GetHistoryResponse>, Status> {
        let mut state = self.state.lock();
        if state.lose_after_begin && !state.runs.is_empty() {
            state.lose_after_begin = false;
            return Err(Status::unavailable("away"));
        }
        Ok(Response::new(wire::GetHistoryResponse {
            turns: state.turns.clone(),
            truncated: false,
            workspace_id: state.workspace.clone(),
            last_run_id: state.last_run(),
        }))
    }

    async fn begin_turn(
        &self,
        request: Request<wire::BeginTurnRequest>,
    ) -> Result<Response<wire::BeginTurnResponse>, Status> {
        let principal = request.run()?;
        let (run_id, session) = (principal.run.to_string(), principal.session.to_string());
        let token = request.token().unwrap().to_owned();
        let wire::BeginTurnRequest {
            client_message_id,
            text,
            entries,
            history,
            client_instructions,
        } = request.into_inner();
        let mut state = self.state.lock();
        let before = state
            .runs
            .iter()
            .find(|(_, run)| run.session == session && run.client_message_id == client_message_id);
        if let Some((run_id, _)) = before {
            let run_id = run_id.clone();
            return Ok(Response::new(wire::BeginTurnResponse {
                run_id,
                existing: true,
                ..wire::BeginTurnResponse::default()
            }));
        }
        let holds = |run: &Run| run.state == RunState::Active && run.session == session;
        if state.runs.values().any(holds) {
            let busy = Failure::new(
                Code::FailedPrecondition,
                Reason::SessionBusy,
                "another run is active",
            );
            return Err(busy.to_status());
        }
        let mut run = Run {
            token,
            session,
            text,
            client_message_id,
            client_instructions,
            epoch: 1,
            expires: self.clock.now().plus(PERIOD),
            state: RunState::Active,
            ..Run::default()
        };
        let cursor = put(&mut run, entries);
        let lease = lease(&run);
        state.runs.insert(run_id.clone(), run);
        let last_run_id = state.last_run();
        let claimed = history.into_iter().map(claimed_turn);
        state.turns.extend(claimed);
        Ok(Response::new(wire::BeginTurnResponse {
            run_id,
            existing: false,
            lease,
            cursor,
            last_run_id,
        }))
    }

    async fn finish_turn(
        &self,
        request: Request<wire::FinishTurnRequest>,
    ) -> Result<Response<wire::FinishTurnResponse>, Status> {
        let run_id = request.run()?.run.to_string();
        let wire::FinishTurnRequest {
            epoch,
            messages,
            entries,
            state,
        } = request.into_inner();
        let (cursor, text) = self.held(&run_id, epoch, |run| {
            run.state = RunState::try_from(state).unwrap();
            Ok((put(run, entries), run.text.clone()))
        })?;
        let user = wire::Message {
            author: Author::User.into(),
            text,
            ..wire::Message::default()
        };
        let messages = std::iter::once(user).chain(messages).collect();
        self.state.lock().turns.push(Turn {
            run_id,
            messages,
            claimed: false,
        });
        Ok(Response::new(wire::FinishTurnResponse { cursor }))
    }

    async fn attach_workspace(
        &self,
        request: Request<wire::AttachWorkspaceRequest>,
    ) -> Result<Response<wire::AttachWorkspaceResponse>, Status> {
        let mut state = self.state.lock();
        if state.workspace.is_empty() {
            state.workspace = request.into_inner().workspace_id;
        }
        Ok(Response::new(wire::AttachWorkspaceResponse {
            workspace_id: state.workspace.clone(),
        }))
    }
}

#[tonic::async_trait]
impl RunJournalService for Memory {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<wire::ReadResponse, Status>> + Send>>;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

    async fn acquire_lease(
        &self,
        _: Request<wire::AcquireLeaseRequest>,
    ) -> Result<Response<wire::AcquireLeaseResponse>, Status> {
        not_used()
    }

    async fn renew_leases(
        &self,
        request: Request<wire::RenewLeasesRequest>,
    ) -> Result<Response<wire::RenewLeasesResponse>, Status> {
        let leases = request.into_inner().leases;
        let deaf = {
            let mut state = self.state.lock();
            state.renewals.push(leases.len());
            state.deaf
        };
        if deaf {
            return std::future::pending().await;
        }
        let mut state = self.state.lock();
        let expires = self.clock.now().plus(PERIOD);
        let renewed = leases.into_iter().map(|held| {
            let run = state.runs.get_mut(&held.run_id);
            let Some(run) = run.filter(|run| run.state == RunState::Active) else {
                return (Renewal::Ended, false);
            };
            if run.epoch != held.epoch {
                return (Renewal::Lost, false);
            }
            run.expires = expires;
            (Renewal::Held, run.cancel)
        });
        let leases = renewed.map(|(renewal, cancel_requested)| wire::RenewedLease {
            renewal: renewal.into(),
            cancel_requested,
        });
        let leases = leases.collect();
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        Ok(Response::new(wire::RenewLeasesResponse { leases, ttl: ttl() }))
    }

    async fn release_lease(
        &self,
        request: Request<wire::ReleaseLeaseRequest>,
    ) -> Result<Response<wire::ReleaseLeaseResponse>, Status> {
        let run_id = request.run()?.run.to_string();
        let now = self.clock.now();
        self.held(&run_id, request.into_inner().epoch, |run| {
            run.epoch += 1;
            run.expires = now;
            Ok(())
        })?;
        Ok(Response::new(wire::ReleaseLeaseResponse {}))
    }

    async fn claim_expired(
        &self,
        _: Request<wire::ClaimExpiredRequest>,
    ) -> Result<Response<wire::ClaimExpiredResponse>, Status> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let expired = state
            .runs
            .iter_mut()
            .filter(|(_, run)| run.state == RunState::Active && run.expires <= now);
        let runs = expired.map(|(id, run)| {
            run.epoch += 1;
            run.expires = now.plus(PERIOD);
            wire::ClaimedRun {
                run_id: id.clone(),
                run_token: run.token.clone(),
                lease: lease(run),
                cursor: run.entries.len() as u64,
                cancel_requested: run.cancel,
            }
        });
        let runs = runs.collect();
        let time = Some(now.into());
        Ok(Response::new(wire::ClaimExpiredResponse { runs, time }))
    }

    async fn append(
        &self,
        request: Request<wire::AppendRequest>,
    ) -> Result<Response<wire::AppendResponse>, Status> {
        let run_id = request.run()?.run.to_string();
        let wire::AppendRequest {
            epoch,
            entries,
            expected_cursor,
        } = request.into_inner();
        let (cursor, cancel_requested) = self.held(&run_id, epoch, |run| {
            assert_eq!(run.entries.len() as u64, expected_cursor);
            Ok((put(run, entries), run.cancel))
        })?;
        self.state.lock().appends += 1;
        Ok(Response::new(wire::AppendResponse {
            cursor,
            cancel_requested,
        }))
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let run = self.state.lock().runs[&request.run()?.run.to_string()].clone();
        let header = wire::ReadHeader {
            text: run.text,
            client_message_id: run.client_message_id,
            state: run.state.into(),
            client_instructions: run.client_instructions,
        };
        let entries = run.entries.into_iter().map(Item::Entry);
        let items: Vec<_> = std::iter::once(Item::Header(header))
            .chain(entries)
            .map(|item| Ok(wire::ReadResponse { item: Some(item) }))
            .collect();
        Ok(Response::new(Box::pin(futures_util::stream::iter(items))))
    }

    async fn watch(&self, _: Request<wire::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        not_used()
    }

    async fn get_run(
        &self,
        _: Request<wire::GetRunRequest>,
    ) -> Result<Response<wire::GetRunResponse>, Status> {
        not_used()
    }

    async fn request_cancel(
        &self,
        request: Request<wire::RequestCancelRequest>,
    ) -> Result<Response<wire::RequestCancelResponse>, Status> {
        let mut state = self.state.lock();
        let run = state.runs.get_mut(&request.run()?.run.to_string());
        let run = run.ok_or_else(|| Status::not_found("no such run"))?;
        run.cancel = true;
        Ok(Response::new(wire::RequestCancelResponse {
            state: run.state.into(),
        }))
    }
}
