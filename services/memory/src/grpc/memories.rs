//! Memories between messages and the domain's types, and nothing else.

use harombe_proto::memory::v1 as pb;
use harombe_types::{AgentName, Clock, InvalidName, MemoryId, SessionId, Timestamp};
use tonic::Status;

use super::convert::{id, invalid};
use crate::domain::memories::check;
use crate::domain::{Fact, Label, Memory, MemoryFilter, MemoryKind, NewMemory};

const SESSIONS_MAX: usize = 64;
/// Whose memories nobody says the agent of.
const AGENT: &str = "default";

impl From<Memory> for pb::Memory {
    fn from(memory: Memory) -> Self {
        let provenance = pb::Provenance {
            agent: memory.agent,
            session_id: memory.session.map(|id| id.to_string()).unwrap_or_default(),
            run_id: memory.run.map(|id| id.to_string()).unwrap_or_default(),
            ordinal: memory.ordinal,
            label: pb::TrustLabel::from(memory.label).into(),
            audit_index: memory.audit_index,
            saved_at: Some(memory.saved_at.into()),
        };
        Self {
            memory_id: memory.id.to_string(),
            kind: pb::MemoryKind::from(memory.kind).into(),
            text: memory.text,
            speaker: memory.speaker,
            time: Some(memory.time.into()),
            valid_to: memory.valid_to.map(Into::into),
            superseded_by: memory.superseded_by.map(|id| id.to_string()).unwrap_or_default(),
            importance: memory.importance,
            provenance: Some(provenance),
            hidden_at: memory.hidden_at.map(Into::into),
            erased_at: memory.erased_at.map(Into::into),
        }
    }
}

impl From<MemoryKind> for pb::MemoryKind {
    fn from(kind: MemoryKind) -> Self {
        match kind {
            MemoryKind::Turn => Self::Turn,
            MemoryKind::Fact => Self::Fact,
            MemoryKind::Summary => Self::Summary,
        }
    }
}

impl From<Label> for pb::TrustLabel {
    fn from(label: Label) -> Self {
        match label {
            Label::Person => Self::Person,
            Label::Model => Self::Model,
            Label::Tool => Self::Tool,
            Label::Imported => Self::Imported,
        }
    }
}

fn kind(kind: i32) -> Result<MemoryKind, Status> {
    match pb::MemoryKind::try_from(kind) {
        Ok(pb::MemoryKind::Turn) => Ok(MemoryKind::Turn),
        Ok(pb::MemoryKind::Fact) => Ok(MemoryKind::Fact),
        Ok(pb::MemoryKind::Summary) => Ok(MemoryKind::Summary),
        _ => Err(invalid("kind must be TURN, FACT or SUMMARY")),
    }
}

fn label(label: i32) -> Result<Label, Status> {
    match pb::TrustLabel::try_from(label) {
        Ok(pb::TrustLabel::Person) => Ok(Label::Person),
        Ok(pb::TrustLabel::Model) => Ok(Label::Model),
        Ok(pb::TrustLabel::Tool) => Ok(Label::Tool),
        Ok(pb::TrustLabel::Imported) => Ok(Label::Imported),
        _ => Err(invalid("a label must be PERSON, MODEL, TOOL or IMPORTED")),
    }
}

fn optional_id(text: &str) -> Result<Option<MemoryId>, Status> {
    if text.is_empty() {
        Ok(None)
    } else {
        id(text).map(Some)
    }
}

pub(super) fn agent(name: &str) -> Result<AgentName, Status> {
    let name = if name.is_empty() { AGENT } else { name };
    name.parse()
        .map_err(|error: InvalidName| invalid(error.to_string()))
}

pub(super) fn filter(filter: pb::MemoryFilter) -> Result<MemoryFilter, Status> {
    if filter.session_ids.len() > SESSIONS_MAX {
        return Err(invalid(format!(
            "filter.session_ids must be at most {SESSIONS_MAX}"
        )));
    }
    let agent = match filter.agent.as_str() {
        "" => None,
        name => Some(agent(name)?.to_string()),
    };
    let sessions = filter.session_ids.iter().map(|text| id(text));
    Ok(MemoryFilter {
        agent,
        sessions: sessions.collect::<Result<_, _>>()?,
        kinds: filter.kinds.into_iter().map(kind).collect::<Result<_, _>>()?,
        labels: filter.labels.into_iter().map(label).collect::<Result<_, _>>()?,
        from: filter.from.as_ref().map(Timestamp::from),
        until: filter.until.as_ref().map(Timestamp::from),
        superseded: filter.include_superseded,
    })
}

/// What a run wants to be kept.
pub(super) fn fact_of_run(request: pb::RememberRequest, label: Label) -> Result<Fact, Status> {
    Ok(Fact {
        id: id(&request.memory_id)?,
        text: request.text,
        importance: request.importance,
        label,
        supersedes: optional_id(&request.supersedes)?,
    })
}

/// What a person wants to be kept, and of which agent.
pub(super) fn fact_of_person(request: pb::SaveMemoryRequest) -> Result<(AgentName, Fact), Status> {
    let fact = Fact {
        id: id(&request.memory_id)?,
        text: request.text,
        importance: request.importance,
        label: Label::Person,
        supersedes: optional_id(&request.supersedes)?,
    };
    Ok((agent(&request.agent)?, fact))
}

fn time(what: &'static str, given: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Status> {
    let Some(given) = given else { return Ok(None) };
    if !(0..1_000_000_000).contains(&given.nanos) {
        return Err(invalid(format!("{what}.nanos must be from 0 to 999999999")));
    }
    Ok(Some(check::time(what, Timestamp::from(&given))?))
}

/// A memory from elsewhere. Of what it says about itself, who can be trusted and where it is on record is not believed, nor that
/// a run of ours said it.
pub(super) fn imported(memory: pb::Memory, clock: &dyn Clock) -> Result<NewMemory, Status> {
    let provenance = memory.provenance.unwrap_or_default();
    let session: Option<SessionId> = match provenance.session_id.as_str() {
        "" => None,
        session => Some(id(session)?),
    };
    let now = clock.now();
    let superseded_by = optional_id(&memory.superseded_by)?;
    let hidden_at = time("hidden_at", memory.hidden_at)?;
    let erased_at = time("erased_at", memory.erased_at)?;
    Ok(NewMemory {
        id: id(&memory.memory_id)?,
        point: *MemoryId::generate(clock).as_uuid(),
        kind: kind(memory.kind)?,
        text: check::text(memory.text)?,
        speaker: check::speaker(memory.speaker)?,
        time: time("time", memory.time)?.unwrap_or(now),
        valid_to: time("valid_to", memory.valid_to)?.or(superseded_by.map(|_| now)),
        superseded_by,
        supersedes: None,
        agent: agent(&provenance.agent)?.to_string(),
        session,
        run: None,
        // 0 in a session: the next
        ordinal: match (session, provenance.ordinal) {
            (Some(_), 0) => None,
            (_, ordinal) => Some(ordinal),
        },
        label: Label::Imported,
        importance: check::importance(Some(memory.importance))?,
        hidden_at: hidden_at.or(erased_at.map(|_| now)),
        erased_at,
    })
}
