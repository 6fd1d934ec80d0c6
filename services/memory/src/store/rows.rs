//! Rows as both schemas have them, and what they mean.

use harombe_types::{RunId, SessionId, Timestamp};
use sqlx::FromRow;

use crate::domain::{
    ActiveRuns, Entry, ErasedSession, Expired, ExpiredPage, Header, Mark, Renewal, Run, RunState, Session,
};
use crate::error::Error;

#[derive(Debug, FromRow)]
pub(super) struct SessionRow {
    pub(super) id: i64,
    session_id: String,
    subject: String,
    pub(super) agent: String,
    created_ms: i64,
    pub(super) updated_ms: i64,
    pub(super) workspace_id: Option<String>,
    turns: i64,
    active_run_id: Option<String>,
    pub(super) active_run: Option<i64>,
    /// The newest run that has ended; only where one session is looked up.
    #[sqlx(default)]
    pub(super) last_run_id: Option<String>,
    /// A run was shown what may be anybody's words; only where one session is looked up.
    #[sqlx(default)]
    saw_outside: bool,
    /// A client brought turns along; only where one session is looked up.
    #[sqlx(default)]
    pub(super) has_claimed: bool,
}

impl SessionRow {
    /// A turn is claimed, or its run was shown what may be anybody's words.
    pub(super) fn saw_outside(&self) -> bool {
        self.saw_outside || self.has_claimed
    }
}

impl SessionRow {
    /// What is told of it when it is no more.
    pub(super) fn erased(self, id: SessionId, memories: u64) -> ErasedSession {
        ErasedSession {
            id,
            agent: self.agent,
            workspace: self.workspace_id,
            memories,
        }
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = Error;

    fn try_from(row: SessionRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.session_id.parse().map_err(|_| Error::Stored("session id"))?,
            agent: row.agent,
            subject: row.subject,
            created: Timestamp::from_millis(row.created_ms),
            updated: Timestamp::from_millis(row.updated_ms),
            workspace: row.workspace_id,
            turns: unsigned(row.turns),
            active_run: row.active_run_id,
        })
    }
}

/// A run as its driver needs it.
#[derive(Debug, FromRow)]
pub(super) struct RunRow {
    pub(super) id: i64,
    pub(super) session: i64,
    pub(super) state: i64,
    pub(super) epoch: i64,
    pub(super) lease_expires_ms: i64,
    pub(super) cursor: i64,
    pub(super) cancel_requested: bool,
    pub(super) tokens: i64,
    pub(super) bytes: i64,
}

impl RunRow {
    /// Fails unless `epoch` is the one that may write now.
    pub(super) fn driven_by(&self, epoch: u64) -> Result<(), Error> {
        if self.state()? != RunState::Active {
            return Err(Error::RunEnded);
        }
        if unsigned(self.epoch) != epoch {
            return Err(Error::LeaseLost);
        }
        Ok(())
    }

    /// Whether the lease of that epoch was given up, and nobody has the run since.
    pub(super) fn was_given_up(&self, epoch: u64, now: Timestamp) -> bool {
        self.state == state_number(RunState::Active)
            && epoch.checked_add(1) == Some(unsigned(self.epoch))
            && self.lease_expires_ms <= now.as_millis()
    }

    pub(super) fn state(&self) -> Result<RunState, Error> {
        state(self.state)
    }
}

/// A lease that is to be renewed, with its run's row if there is one.
#[derive(Debug, FromRow)]
pub(super) struct RenewalRow {
    asked: i64,
    state: Option<i64>,
    epoch: Option<i64>,
    cancel_requested: bool,
}

impl From<RenewalRow> for Renewal {
    fn from(row: RenewalRow) -> Self {
        if row.state != Some(state_number(RunState::Active)) {
            return Self::Ended;
        }
        if row.epoch != Some(row.asked) {
            return Self::Lost;
        }
        Self::Held {
            cancel_requested: row.cancel_requested,
        }
    }
}

/// A run as its owner sees it.
#[derive(Debug, FromRow)]
pub(super) struct RunView {
    run_id: String,
    session_id: String,
    agent: String,
    state: i64,
    started_ms: i64,
    finished_ms: Option<i64>,
    cursor: i64,
}

impl TryFrom<RunView> for Run {
    type Error = Error;

    fn try_from(row: RunView) -> Result<Self, Error> {
        Ok(Self {
            id: run_id(&row.run_id)?,
            session: row.session_id.parse().map_err(|_| Error::Stored("session id"))?,
            agent: row.agent,
            state: state(row.state)?,
            started: Timestamp::from_millis(row.started_ms),
            finished: row.finished_ms.map(Timestamp::from_millis),
            cursor: unsigned(row.cursor),
        })
    }
}

#[derive(Debug, FromRow)]
pub(super) struct HeaderRow {
    client_message_id: String,
    /// Text; a database may not know that.
    client_instructions: Vec<u8>,
    state: i64,
    body: Vec<u8>,
}

impl TryFrom<HeaderRow> for Header {
    type Error = Error;

    fn try_from(row: HeaderRow) -> Result<Self, Error> {
        Ok(Self {
            message: row.body,
            client_message_id: row.client_message_id,
            client_instructions: String::from_utf8(row.client_instructions)
                .map_err(|_| Error::Stored("client instructions"))?,
            state: state(row.state)?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(super) struct ExpiredRow {
    id: i64,
    tenant: String,
    run_id: String,
    epoch: i64,
    lease_expires_ms: i64,
    cancel_requested: bool,
    token: Option<String>,
}

/// The page that these rows are, of at most `limit`. What cannot be read must not keep the others waiting.
pub(super) fn expired_page(rows: Vec<ExpiredRow>, limit: u32) -> ExpiredPage {
    let full = u32::try_from(rows.len()).is_ok_and(|found| found >= limit);
    let next = rows.last().filter(|_| full).map(|last| Mark {
        since: last.lease_expires_ms,
        id: last.id,
    });
    let read = |row: ExpiredRow| {
        let id = row.id;
        row.try_into()
            .inspect_err(|error| tracing::warn!(run = id, %error, "an expired run is passed over"))
            .ok()
    };
    ExpiredPage {
        runs: rows.into_iter().filter_map(read).collect(),
        next,
    }
}

/// How many are under way, and how many of them nobody drives.
pub(super) fn active_runs((all, unclaimed): (i64, i64)) -> ActiveRuns {
    ActiveRuns {
        all: unsigned(all),
        unclaimed: unsigned(unclaimed),
    }
}

impl TryFrom<ExpiredRow> for Expired {
    type Error = Error;

    fn try_from(row: ExpiredRow) -> Result<Self, Error> {
        Ok(Self {
            tenant: row.tenant.parse().map_err(|_| Error::Stored("tenant"))?,
            run: run_id(&row.run_id)?,
            epoch: unsigned(row.epoch),
            token: row.token.unwrap_or_default(),
            since: Timestamp::from_millis(row.lease_expires_ms),
            cancel_requested: row.cancel_requested,
        })
    }
}

#[derive(Debug, FromRow)]
pub(super) struct EntryRow {
    cursor: i64,
    written_ms: i64,
    pub(super) event: Option<Vec<u8>>,
    pub(super) state: Vec<u8>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        Self {
            cursor: unsigned(row.cursor),
            written: Timestamp::from_millis(row.written_ms),
            event: row.event,
            state: row.state,
        }
    }
}

pub(super) fn run_id(text: &str) -> Result<RunId, Error> {
    text.parse().map_err(|_| Error::Stored("run id"))
}

pub(super) fn state(number: i64) -> Result<RunState, Error> {
    match number {
        1 => Ok(RunState::Active),
        2 => Ok(RunState::Finished),
        3 => Ok(RunState::Failed),
        4 => Ok(RunState::Cancelled),
        _ => Err(Error::Stored("run state")),
    }
}

pub(super) fn state_number(state: RunState) -> i64 {
    match state {
        RunState::Active => 1,
        RunState::Finished => 2,
        RunState::Failed => 3,
        RunState::Cancelled => 4,
    }
}

/// Counters in the file are never negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number beyond what the file can hold matches nothing in it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
