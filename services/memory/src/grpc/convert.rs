//! Between messages and the domain's types, and nothing else.

mod recall;

use std::str::FromStr;
use std::time::Duration;

use harombe_error::to_status;
use harombe_proto::memory::v1 as pb;
use harombe_types::{InvalidId, InvalidName, Person};
use tonic::Status;

use crate::domain::{Claimed, Erased, ErasedSession, Held, Lease, Owner, Renewal, Run, RunState, Session};
use crate::error::Error;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        to_status(&error)
    }
}

pub(super) fn id<T: FromStr<Err = InvalidId>>(text: &str) -> Result<T, Status> {
    text.parse()
        .map_err(|error: InvalidId| Status::from(Error::Invalid(error.to_string())))
}

pub(super) fn invalid(message: impl Into<String>) -> Status {
    Status::from(Error::Invalid(message.into()))
}

impl From<Person> for Owner {
    fn from(person: Person) -> Self {
        Self {
            tenant: person.tenant,
            subject: person.subject,
        }
    }
}

impl From<Erased> for pb::ErasePersonResponse {
    fn from(erased: Erased) -> Self {
        Self {
            sessions: u64::try_from(erased.sessions.len()).unwrap_or(u64::MAX),
            memories: erased.memories,
            workspaces: erased.sessions.into_iter().filter_map(workspace).collect(),
            sessions_in_use: erased.in_use,
            more: erased.more,
        }
    }
}

/// The workspace of a session that is no more, if it had one.
fn workspace(session: ErasedSession) -> Option<pb::ErasedWorkspace> {
    Some(pb::ErasedWorkspace {
        session_id: session.id.to_string(),
        agent: session.agent,
        workspace_id: session.workspace?,
    })
}

impl From<Session> for pb::Session {
    fn from(session: Session) -> Self {
        Self {
            session_id: session.id.to_string(),
            agent: session.agent,
            subject: session.subject,
            created_at: Some(session.created.into()),
            updated_at: Some(session.updated.into()),
            workspace_id: session.workspace.unwrap_or_default(),
            turns: session.turns,
            active_run_id: session.active_run.unwrap_or_default(),
        }
    }
}

/// A lease that was given now, for `ttl`.
pub(super) fn lease(lease: Lease, ttl: Duration) -> pb::Lease {
    pb::Lease {
        epoch: lease.epoch,
        ttl: Some(duration(ttl)),
    }
}

/// Leases last minutes at most.
pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or_default()
}

impl TryFrom<pb::HeldLease> for Held {
    type Error = Status;

    fn try_from(lease: pb::HeldLease) -> Result<Self, Status> {
        Ok(Self {
            tenant: lease
                .tenant
                .parse()
                .map_err(|error: InvalidName| invalid(error.to_string()))?,
            run: id(&lease.run_id)?,
            epoch: lease.epoch,
        })
    }
}

impl From<Renewal> for pb::RenewedLease {
    fn from(renewal: Renewal) -> Self {
        let (renewal, cancel_requested) = match renewal {
            Renewal::Held { cancel_requested } => (pb::Renewal::Held, cancel_requested),
            Renewal::Lost => (pb::Renewal::Lost, false),
            Renewal::Ended => (pb::Renewal::Ended, false),
        };
        Self {
            renewal: renewal.into(),
            cancel_requested,
        }
    }
}

impl From<RunState> for pb::RunState {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Active => Self::Active,
            RunState::Finished => Self::Finished,
            RunState::Failed => Self::Failed,
            RunState::Cancelled => Self::Cancelled,
        }
    }
}

pub(super) fn run_state(state: pb::RunState) -> Result<RunState, Status> {
    match state {
        pb::RunState::Active => Ok(RunState::Active),
        pb::RunState::Finished => Ok(RunState::Finished),
        pb::RunState::Failed => Ok(RunState::Failed),
        pb::RunState::Cancelled => Ok(RunState::Cancelled),
        pb::RunState::Unspecified => Err(invalid("state must be set")),
    }
}

impl From<Run> for pb::Run {
    fn from(run: Run) -> Self {
        Self {
            run_id: run.id.to_string(),
            session_id: run.session.to_string(),
            agent: run.agent,
            state: pb::RunState::from(run.state).into(),
            started_at: Some(run.started.into()),
            finished_at: run.finished.map(Into::into),
            cursor: run.cursor,
        }
    }
}

/// A run that was claimed now, for `ttl`.
pub(super) fn claimed(claimed: Claimed, ttl: Duration) -> pb::ClaimedRun {
    pb::ClaimedRun {
        run_id: claimed.run.to_string(),
        run_token: claimed.token,
        lease: Some(lease(claimed.lease, ttl)),
        cursor: claimed.cursor,
        cancel_requested: claimed.cancel_requested,
    }
}
