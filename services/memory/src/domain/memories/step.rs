//! What the audit log is to say of a change, as it is kept until the log has it: a repetition says the same.

use harombe_trail::{Event, Kind};
use harombe_types::{
    AgentName, EventId, MemoryId, Person, Principal, RunId, RunPrincipal, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::NewMemory;
use crate::domain::Owner;
use crate::domain::consolidation::Link;

/// Memories that one event names one by one; of more it says how many.
pub(super) const NAMED: usize = 256;
const LINKED: &str = "linked";

/// On whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Actor {
    Person,
    Run {
        agent: AgentName,
        session: SessionId,
        run: RunId,
    },
    /// Time has come, or a turn has ended.
    Service,
}

/// What was done: the event's kind and details. Never a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deed {
    forgotten: bool,
    /// The one memory that it is about, if it is about one that was there before.
    memory: Option<MemoryId>,
    details: Value,
}

impl Deed {
    /// They are kept now.
    pub(super) fn saved(new: &[&NewMemory]) -> Self {
        let named: Vec<Value> = new.iter().take(NAMED).map(|memory| described(memory)).collect();
        Self {
            forgotten: false,
            memory: None,
            details: json!({ "count": new.len(), "memories": named }),
        }
    }

    /// Nothing finds it any more, nor the summaries that told of it.
    pub(crate) fn hidden(memory: MemoryId, erased_at: Option<Timestamp>, with_it: &[MemoryId]) -> Self {
        let mut details = json!({
            "what": "hidden",
            "memory": memory.to_string(),
            "erased_at": erased_at.map(|time| time.to_string()),
        });
        if !with_it.is_empty() {
            let named: Vec<String> = with_it.iter().take(NAMED).map(ToString::to_string).collect();
            details["summaries"] = json!(named);
        }
        Self::about(memory, details)
    }

    /// It is found again.
    pub(crate) fn restored(memory: MemoryId) -> Self {
        Self::about(
            memory,
            json!({ "what": "restored", "memory": memory.to_string() }),
        )
    }

    /// The places of memories are taken by others.
    pub(crate) fn linked(links: &[Link]) -> Self {
        let named: Vec<Value> = links.iter().take(NAMED).map(described_link).collect();
        Self {
            forgotten: false,
            memory: None,
            details: json!({ "what": LINKED, "count": links.len(), "links": named }),
        }
    }

    /// They are gone for good; `asked` is the one that was asked for, where others go with it.
    pub(crate) fn erased(memories: &[MemoryId], asked: Option<MemoryId>) -> Self {
        let named: Vec<String> = memories.iter().take(NAMED).map(ToString::to_string).collect();
        Self {
            forgotten: true,
            memory: match memories {
                [one] => Some(*one),
                _ => asked,
            },
            details: json!({ "what": "erased", "count": memories.len(), "memories": named }),
        }
    }

    /// All of a session is about to be erased.
    pub(crate) fn session_erased(session: SessionId) -> Self {
        Self {
            forgotten: true,
            memory: None,
            details: json!({ "what": "session_erased", "session": session.to_string() }),
        }
    }

    pub(crate) fn memory(&self) -> Option<MemoryId> {
        self.memory
    }

    /// In a word, for those who count.
    pub(crate) fn what(&self) -> &'static str {
        match self.details.get("what").and_then(Value::as_str) {
            Some("hidden") => "hidden",
            Some("restored") => "restored",
            Some("erased") => "erased",
            Some(LINKED) => LINKED,
            Some(_) => "session_erased",
            None => "saved",
        }
    }

    /// Whether memories become visible with it.
    pub(crate) fn is_saving(&self) -> bool {
        !self.forgotten
    }

    /// Whether places are taken with it.
    pub(crate) fn is_linking(&self) -> bool {
        self.what() == LINKED
    }

    fn about(memory: MemoryId, details: Value) -> Self {
        Self {
            forgotten: true,
            memory: Some(memory),
            details,
        }
    }
}

fn described(memory: &NewMemory) -> Value {
    json!({
        "memory": memory.id.to_string(),
        "kind": memory.kind.as_str(),
        "label": memory.label.as_str(),
        "bytes": memory.text.len(),
        "digest": hex(&Sha256::digest(memory.text.as_bytes())),
        "session": memory.session.map(|session| session.to_string()),
        "supersedes": memory.supersedes.map(|old| old.to_string()),
    })
}

fn described_link(link: &Link) -> Value {
    json!({ "what": link.why.as_str(), "memory": link.old.to_string(), "by": link.by.to_string() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A change that has happened, and its event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) event: EventId,
    pub(crate) owner: Owner,
    pub(crate) actor: Actor,
    pub(crate) at: Timestamp,
    pub(crate) deed: Deed,
}

impl Step {
    /// As the log is told of it.
    pub(crate) fn event(&self) -> Event {
        let kind = match self.deed.forgotten {
            false => Kind::MemorySaved,
            true => Kind::MemoryForgotten,
        };
        let event = Event::new(kind, &self.owner.tenant)
            .subject(&self.owner.subject)
            .at(self.at)
            .details(self.deed.details.clone());
        match &self.actor {
            Actor::Service => event,
            Actor::Person => event.principal(&Principal::Person(Person {
                tenant: self.owner.tenant.clone(),
                subject: self.owner.subject.clone(),
                roles: [].into(),
                allow_self: false,
            })),
            Actor::Run { agent, session, run } => event.principal(&Principal::Run(RunPrincipal {
                tenant: self.owner.tenant.clone(),
                subject: self.owner.subject.clone(),
                agent: agent.clone(),
                session: *session,
                run: *run,
            })),
        }
    }
}
