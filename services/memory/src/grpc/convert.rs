//! Between messages and the domain's types, and nothing else.

use std::str::FromStr;

use harombe_error::to_status;
use harombe_proto::memory::v1 as pb;
use harombe_types::{InvalidId, Person};
use tonic::Status;

use crate::domain::{Claimed, Lease, Owner, Run, RunState, Session};
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

impl From<Lease> for pb::Lease {
    fn from(lease: Lease) -> Self {
        Self {
            epoch: lease.epoch,
            expires_at: Some(lease.expires.into()),
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

impl From<Claimed> for pb::ClaimedRun {
    fn from(claimed: Claimed) -> Self {
        Self {
            run_id: claimed.run.to_string(),
            run_token: claimed.token,
            lease: Some(claimed.lease.into()),
            cursor: claimed.cursor,
        }
    }
}
