//! Rows of memories as both schemas have them, and what they mean.

use harombe_types::{EventId, MemoryId, RunId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::{
    Actor, Deed, Label, Memory, MemoryKind, Owner, Revision, Stats, Step, Stored, Unremembered, What, Work,
};
use crate::error::Error;
use crate::store::rows::unsigned;

/// An owner, held until the transaction ends.
#[derive(Debug, FromRow)]
pub(in crate::store) struct OwnerRow {
    pub(in crate::store) id: i64,
    incarnation: i64,
    pub(in crate::store) rev: i64,
    pub(in crate::store) epoch: i64,
    pub(in crate::store) memories: i64,
}

impl OwnerRow {
    /// The revision of the next change.
    pub(in crate::store) fn next_rev(&mut self) -> i64 {
        self.rev += 1;
        self.rev
    }

    pub(in crate::store) fn revision(&self) -> Revision {
        Revision {
            incarnation: unsigned(self.incarnation),
            rev: unsigned(self.rev),
            epoch: unsigned(self.epoch),
        }
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct MemoryRow {
    pub(in crate::store) seq: i64,
    memory_id: Vec<u8>,
    point: Vec<u8>,
    rev: i64,
    kind: i64,
    label: i64,
    text: Vec<u8>,
    speaker: Vec<u8>,
    time_ms: i64,
    valid_to_ms: Option<i64>,
    superseded_by: Option<Vec<u8>>,
    agent: String,
    session: Option<String>,
    run: Option<String>,
    ordinal: i64,
    importance: f64,
    saved_ms: i64,
    event: Vec<u8>,
    audit_index: Option<i64>,
    pub(in crate::store) hidden_ms: Option<i64>,
    pub(in crate::store) hidden_by: Option<i64>,
    pub(in crate::store) erase_ms: Option<i64>,
}

impl MemoryRow {
    pub(in crate::store) fn is_recorded(&self) -> bool {
        self.audit_index.is_some()
    }

    pub(in crate::store) fn id(&self) -> &[u8] {
        &self.memory_id
    }

    pub(in crate::store) fn point(&self) -> &[u8] {
        &self.point
    }

    pub(in crate::store) fn event(&self) -> &[u8] {
        &self.event
    }

    /// The place of a turn in its session.
    pub(in crate::store) fn said_at(&self) -> Option<(String, i64)> {
        let session = self
            .session
            .clone()
            .filter(|_| self.kind == kind_number(MemoryKind::Turn))?;
        Some((session, self.ordinal))
    }

    /// The row, of an owner that is known.
    pub(in crate::store) fn of(self, owner: &Owner) -> Result<Memory, Error> {
        Ok(Memory {
            id: memory_id(&self.memory_id)?,
            point: uuid("point", &self.point)?,
            seq: unsigned(self.seq),
            rev: unsigned(self.rev),
            owner: owner.clone(),
            kind: kind(self.kind)?,
            text: String::from_utf8(self.text).map_err(|_| Error::Stored("text"))?,
            speaker: String::from_utf8(self.speaker).map_err(|_| Error::Stored("speaker"))?,
            time: Timestamp::from_millis(self.time_ms),
            valid_to: self.valid_to_ms.map(Timestamp::from_millis),
            superseded_by: self.superseded_by.as_deref().map(memory_id).transpose()?,
            agent: self.agent,
            session: self.session.as_deref().map(session_id).transpose()?,
            run: self.run.as_deref().map(run_id).transpose()?,
            ordinal: u32::try_from(self.ordinal).map_err(|_| Error::Stored("ordinal"))?,
            label: label(self.label)?,
            importance: self.importance,
            event: event_id(&self.event)?,
            audit_index: self.audit_index.map(unsigned),
            saved_at: Timestamp::from_millis(self.saved_ms),
            hidden_at: self.hidden_ms.map(Timestamp::from_millis),
            erased_at: self.erase_ms.map(Timestamp::from_millis),
        })
    }
}

/// What a step is kept as.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    actor: Actor,
    deed: Deed,
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct StepRow {
    pub(in crate::store) id: i64,
    event: Vec<u8>,
    tenant: String,
    subject: String,
    made_ms: i64,
    body: String,
}

impl TryFrom<StepRow> for Step {
    type Error = Error;

    fn try_from(row: StepRow) -> Result<Self, Error> {
        let body: Body = serde_json::from_str(&row.body).map_err(|_| Error::Stored("step"))?;
        Ok(Self {
            event: event_id(&row.event)?,
            owner: owner(&row.tenant, &row.subject)?,
            actor: body.actor,
            at: Timestamp::from_millis(row.made_ms),
            deed: body.deed,
        })
    }
}

/// The step's body as it is kept.
pub(in crate::store) fn step_body(step: &Step) -> Result<String, Error> {
    let body = Body {
        actor: step.actor.clone(),
        deed: step.deed.clone(),
    };
    serde_json::to_string(&body).map_err(|_| Error::Stored("step"))
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct StatsRow {
    turns: i64,
    facts: i64,
    summaries: i64,
    hidden: i64,
    superseded: i64,
    bytes: i64,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
}

impl StatsRow {
    pub(in crate::store) fn with_waiting(self, waiting: i64) -> Stats {
        Stats {
            turns: unsigned(self.turns),
            facts: unsigned(self.facts),
            summaries: unsigned(self.summaries),
            hidden: unsigned(self.hidden),
            superseded: unsigned(self.superseded),
            bytes: unsigned(self.bytes),
            waiting: unsigned(waiting),
            oldest: self.oldest_ms.map(Timestamp::from_millis),
            newest: self.newest_ms.map(Timestamp::from_millis),
        }
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct WorkRow {
    seq: i64,
    tenant: String,
    subject: String,
    point: Vec<u8>,
    what: i64,
}

impl TryFrom<WorkRow> for Work {
    type Error = Error;

    fn try_from(row: WorkRow) -> Result<Self, Error> {
        Ok(Self {
            seq: unsigned(row.seq),
            owner: owner(&row.tenant, &row.subject)?,
            point: uuid("point", &row.point)?,
            what: if row.what == what_number(What::Put) {
                What::Put
            } else {
                What::Delete
            },
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct StoredRow {
    seq: i64,
    tenant: String,
    subject: String,
    point: Vec<u8>,
}

impl TryFrom<StoredRow> for Stored {
    type Error = Error;

    fn try_from(row: StoredRow) -> Result<Self, Error> {
        Ok(Self {
            point: uuid("point", &row.point)?,
            owner: owner(&row.tenant, &row.subject)?,
            seq: unsigned(row.seq),
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct UnrememberedRow {
    id: i64,
    tenant: String,
    subject: String,
    agent: String,
    session_id: String,
    run_id: String,
    started_ms: i64,
    finished_ms: Option<i64>,
}

impl TryFrom<UnrememberedRow> for Unremembered {
    type Error = Error;

    fn try_from(row: UnrememberedRow) -> Result<Self, Error> {
        Ok(Self {
            row: row.id,
            owner: owner(&row.tenant, &row.subject)?,
            agent: row.agent,
            session: session_id(&row.session_id)?,
            run: run_id(&row.run_id)?,
            started: Timestamp::from_millis(row.started_ms),
            finished: Timestamp::from_millis(row.finished_ms.unwrap_or(row.started_ms)),
        })
    }
}

/// Rows that can be read; one that cannot must not keep the others waiting.
pub(in crate::store) fn readable<R: TryInto<T, Error = Error>, T>(rows: Vec<R>) -> Vec<T> {
    let read = |row: R| {
        row.try_into()
            .inspect_err(|error| tracing::warn!(%error, "a row is passed over"))
            .ok()
    };
    rows.into_iter().filter_map(read).collect()
}

pub(in crate::store) fn owner(tenant: &str, subject: &str) -> Result<Owner, Error> {
    Ok(Owner {
        tenant: tenant.parse().map_err(|_| Error::Stored("tenant"))?,
        subject: subject.parse().map_err(|_| Error::Stored("subject"))?,
    })
}

pub(in crate::store) fn kind_number(kind: MemoryKind) -> i64 {
    match kind {
        MemoryKind::Turn => 1,
        MemoryKind::Fact => 2,
        MemoryKind::Summary => 3,
    }
}

fn kind(number: i64) -> Result<MemoryKind, Error> {
    match number {
        1 => Ok(MemoryKind::Turn),
        2 => Ok(MemoryKind::Fact),
        3 => Ok(MemoryKind::Summary),
        _ => Err(Error::Stored("kind")),
    }
}

pub(in crate::store) fn label_number(label: Label) -> i64 {
    match label {
        Label::Person => 1,
        Label::Model => 2,
        Label::Tool => 3,
        Label::Imported => 4,
    }
}

pub(in crate::store) fn label(number: i64) -> Result<Label, Error> {
    match number {
        1 => Ok(Label::Person),
        2 => Ok(Label::Model),
        3 => Ok(Label::Tool),
        4 => Ok(Label::Imported),
        _ => Err(Error::Stored("label")),
    }
}

pub(in crate::store) fn what_number(what: What) -> i64 {
    match what {
        What::Put => 1,
        What::Delete => 2,
    }
}

fn uuid(what: &'static str, bytes: &[u8]) -> Result<Uuid, Error> {
    Uuid::from_slice(bytes).map_err(|_| Error::Stored(what))
}

pub(in crate::store) fn memory_id(bytes: &[u8]) -> Result<MemoryId, Error> {
    uuid("memory id", bytes).map(MemoryId::from)
}

pub(in crate::store) fn event_id(bytes: &[u8]) -> Result<EventId, Error> {
    uuid("event id", bytes).map(EventId::from)
}

fn session_id(text: &str) -> Result<SessionId, Error> {
    text.parse().map_err(|_| Error::Stored("session id"))
}

fn run_id(text: &str) -> Result<RunId, Error> {
    text.parse().map_err(|_| Error::Stored("run id"))
}
