//! memory: the conversation, the run's journal, the lease that says who may write it, and what is remembered.

mod recall;

use futures_util::TryStreamExt as _;
use harombe_error::{Failure, Reason};
use harombe_proto::memory::v1 as wire;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::memory_service_client::MemoryServiceClient;
use harombe_proto::memory::v1::read_response::Item;
use harombe_proto::memory::v1::run_journal_service_client::RunJournalServiceClient;
use harombe_rpc::GrpcChannel;
use harombe_types::Timestamp;
use tokio::time::Instant;
use tonic::{Request, Status};

pub(crate) use self::recall::{Found, Past};
use super::lease::{Lease, Term};
use super::{nonsense, with_token};

/// The client.
#[derive(Clone)]
pub(crate) struct Memory {
    conversation: ConversationServiceClient<GrpcChannel>,
    journal: RunJournalServiceClient<GrpcChannel>,
    memories: MemoryServiceClient<GrpcChannel>,
}

/// A turn that nobody had begun before.
#[derive(Clone, Debug)]
pub(crate) struct NewTurn {
    /// The right to drive its run.
    pub lease: Lease,
    /// Of the last entry written.
    pub cursor: u64,
    /// The newest run that had ended.
    pub last_run: Option<String>,
}

/// Of the lease with which a run begins; whoever takes the run over gets a higher one.
const FIRST_EPOCH: u64 = 1;

/// An opened turn.
#[derive(Clone, Debug)]
pub(crate) enum Begun {
    /// Ours to drive.
    New(NewTurn),
    /// Ours to drive, but begun before, by a node that did nothing more: what it said first is in the journal.
    Again {
        /// The right to drive it.
        lease: Lease,
    },
    /// The message began another run before.
    Existing {
        /// Which.
        run: String,
    },
}

/// Runs that this node is to go on with.
#[derive(Clone)]
pub(crate) struct Claims {
    /// Each with its lease.
    pub runs: Vec<Claim>,
    /// When, by memory's clock.
    pub time: Option<Timestamp>,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Claim {
    /// Which.
    pub run_id: String,
    /// For whom.
    pub token: String,
    /// The right to drive it.
    pub lease: Lease,
    /// Somebody wants it to stop.
    pub cancel_requested: bool,
}

/// What a write to the journal brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Of the last entry.
    pub cursor: u64,
    /// Somebody wants the run to stop.
    pub cancel_requested: bool,
}

fn at(status: &Status) -> Failure {
    super::failure(status, Reason::MemoryUnavailable)
}

impl Memory {
    pub(super) fn new(channel: GrpcChannel) -> Self {
        Self {
            conversation: ConversationServiceClient::new(channel.clone()),
            journal: RunJournalServiceClient::new(channel.clone()),
            memories: MemoryServiceClient::new(channel),
        }
    }

    /// Opens the turn and takes its lease.
    pub(crate) async fn begin(&self, token: &str, request: wire::BeginTurnRequest) -> Result<Begun, Failure> {
        let asked = Instant::now();
        let request = with_token(request, token);
        let response = self
            .conversation
            .clone()
            .begin_turn(request)
            .await
            .map_err(|status| at(&status))?;
        let wire::BeginTurnResponse {
            run_id,
            existing,
            lease,
            cursor,
            last_run_id,
        } = response.into_inner();
        if existing {
            return Ok(Begun::Existing { run: run_id });
        }
        let lease = read_lease(asked, lease)?;
        if lease.epoch > FIRST_EPOCH {
            return Ok(Begun::Again { lease });
        }
        Ok(Begun::New(NewTurn {
            lease,
            cursor,
            last_run: given(last_run_id),
        }))
    }

    /// Closes the turn and gives the lease back.
    pub(crate) async fn finish(&self, token: &str, request: wire::FinishTurnRequest) -> Result<u64, Failure> {
        let request = with_token(request, token);
        let response = self
            .conversation
            .clone()
            .finish_turn(request)
            .await
            .map_err(|status| at(&status))?;
        Ok(response.into_inner().cursor)
    }

    /// Binds a workspace to the session; answers with the one that it has.
    pub(crate) async fn attach_workspace(
        &self,
        token: &str,
        workspace_id: String,
    ) -> Result<String, Failure> {
        let request = with_token(wire::AttachWorkspaceRequest { workspace_id }, token);
        let response = self
            .conversation
            .clone()
            .attach_workspace(request)
            .await
            .map_err(|status| at(&status))?;
        Ok(response.into_inner().workspace_id)
    }

    /// Adds entries to the journal.
    pub(crate) async fn append(&self, token: &str, request: wire::AppendRequest) -> Result<Written, Failure> {
        let request = with_token(request, token);
        let response = self
            .journal
            .clone()
            .append(request)
            .await
            .map_err(|status| at(&status))?;
        let wire::AppendResponse {
            cursor,
            cancel_requested,
        } = response.into_inner();
        Ok(Written {
            cursor,
            cancel_requested,
        })
    }

    /// Keeps leases: of each in the order given, what became of it, and until when those last that are kept.
    pub(crate) async fn renew(
        &self,
        leases: Vec<wire::HeldLease>,
    ) -> Result<(Term, Vec<wire::RenewedLease>), Failure> {
        let (asked, count) = (Instant::now(), leases.len());
        let request = Request::new(wire::RenewLeasesRequest { leases });
        let response = self
            .journal
            .clone()
            .renew_leases(request)
            .await
            .map_err(|status| at(&status))?;
        let wire::RenewLeasesResponse { leases, ttl } = response.into_inner();
        if leases.len() != count {
            return Err(nonsense("every lease"));
        }
        Ok((term(asked, ttl)?, leases))
    }

    /// Gives the lease up for another node to claim. Where that fails, the lease's end does the same a little later.
    pub(crate) async fn release(&self, token: &str, epoch: u64) {
        let request = with_token(wire::ReleaseLeaseRequest { epoch }, token);
        if let Err(status) = self.journal.clone().release_lease(request).await {
            let failure = at(&status);
            tracing::debug!(reason = %failure.reason, error = %failure, "a lease was not given back");
        }
    }

    /// Takes over runs whose node is gone.
    pub(crate) async fn claim_expired(&self, limit: u32) -> Result<Claims, Failure> {
        let asked = Instant::now();
        let request = Request::new(wire::ClaimExpiredRequest { limit });
        let response = self
            .journal
            .clone()
            .claim_expired(request)
            .await
            .map_err(|status| at(&status))?;
        let wire::ClaimExpiredResponse { runs, time } = response.into_inner();
        let claim = |run: wire::ClaimedRun| {
            Ok(Claim {
                lease: read_lease(asked, run.lease)?,
                run_id: run.run_id,
                token: run.run_token,
                cancel_requested: run.cancel_requested,
            })
        };
        Ok(Claims {
            runs: runs.into_iter().map(claim).collect::<Result<_, Failure>>()?,
            time: time.as_ref().map(Timestamp::from),
        })
    }

    /// The whole journal of the token's run.
    pub(crate) async fn read(
        &self,
        token: &str,
    ) -> Result<(wire::ReadHeader, Vec<wire::JournalEntry>), Failure> {
        let request = with_token(wire::ReadRequest { after_cursor: 0 }, token);
        let response = self
            .journal
            .clone()
            .read(request)
            .await
            .map_err(|status| at(&status))?;
        let items: Vec<_> = response
            .into_inner()
            .try_collect()
            .await
            .map_err(|status| at(&status))?;
        let mut header = None;
        let mut entries = Vec::new();
        for item in items {
            match item.item {
                Some(Item::Header(found)) => header = Some(found),
                Some(Item::Entry(entry)) => entries.push(entry),
                None => {}
            }
        }
        Ok((header.ok_or_else(|| nonsense("a header"))?, entries))
    }

    /// Asks whoever drives the token's run to stop.
    pub(crate) async fn request_cancel(&self, token: &str, reason: String) -> Result<(), Failure> {
        let request = with_token(wire::RequestCancelRequest { reason }, token);
        self.journal
            .clone()
            .request_cancel(request)
            .await
            .map_err(|status| at(&status))?;
        Ok(())
    }
}

/// An id that may be absent.
fn given(id: String) -> Option<String> {
    Some(id).filter(|id| !id.is_empty())
}

fn read_lease(asked: Instant, lease: Option<wire::Lease>) -> Result<Lease, Failure> {
    let wire::Lease { epoch, ttl } = lease.ok_or_else(|| nonsense("a lease"))?;
    let term = term(asked, ttl)?;
    Ok(Lease { epoch, term })
}

fn term(asked: Instant, ttl: Option<prost_types::Duration>) -> Result<Term, Failure> {
    let ttl = ttl.and_then(|ttl| ttl.try_into().ok());
    let ttl = ttl.ok_or_else(|| nonsense("how long a lease lasts"))?;
    Ok(Term::new(asked, ttl))
}
