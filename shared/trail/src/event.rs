//! What a service says of one step.

use harombe_proto::audit::v1 as proto;
use harombe_types::{
    AgentName, ApprovalId, CallId, Clock, EventId, Principal, RunId, SessionId, Subject, Tenant, Timestamp,
};
use serde_json::Value;

use crate::{Error, Kind};

/// The largest event, encoded, in bytes: a batch of one must fit into a message.
pub(crate) const MAX_EVENT: usize = 1024 * 1024;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// A person, a rule or a policy said no.
    Denied,
    Failed,
    /// Nobody decided in time.
    Expired,
    Cancelled,
    /// It cannot be known whether it happened.
    Unknown,
}

impl Outcome {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// One event, built up field by field. Its time and its id are those of the moment it is recorded, unless they are set.
#[derive(Clone, Debug)]
pub struct Event {
    id: Option<EventId>,
    /// It may be in the log already.
    repeated: bool,
    time: Option<Timestamp>,
    details: Value,
    proto: proto::Event,
}

impl Event {
    /// An event of the service itself, with outcome ok.
    #[must_use]
    pub fn new(kind: Kind, tenant: &Tenant) -> Self {
        let proto = proto::Event {
            kind: kind.as_str().to_owned(),
            tenant: tenant.to_string(),
            principal: "service".to_owned(),
            outcome: Outcome::Ok.as_str().to_owned(),
            ..proto::Event::default()
        };
        Self {
            id: None,
            repeated: false,
            time: None,
            details: Value::Null,
            proto,
        }
    }

    /// On whose behalf; of a run also its agent, session and id.
    #[must_use]
    pub fn principal(mut self, principal: &Principal) -> Self {
        match principal {
            Principal::Person(person) => {
                self.proto.principal = format!("person:{}", person.subject);
                self.subject(&person.subject)
            }
            Principal::Run(run) => {
                "run".clone_into(&mut self.proto.principal);
                self.subject(&run.subject)
                    .agent(&run.agent)
                    .session(run.session)
                    .run(run.run)
            }
        }
    }

    /// Whose data key seals the details.
    #[must_use]
    pub fn subject(mut self, subject: &Subject) -> Self {
        self.proto.subject = subject.to_string();
        self
    }

    #[must_use]
    pub fn agent(mut self, agent: &AgentName) -> Self {
        self.proto.agent = agent.to_string();
        self
    }

    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.proto.run_id = run.to_string();
        self
    }

    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.proto.session_id = session.to_string();
        self
    }

    #[must_use]
    pub fn call(mut self, call: CallId) -> Self {
        self.proto.call_id = call.to_string();
        self
    }

    #[must_use]
    pub fn approval(mut self, approval: ApprovalId) -> Self {
        self.proto.approval_id = approval.to_string();
        self
    }

    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        outcome.as_str().clone_into(&mut self.proto.outcome);
        self
    }

    /// Of the rules by which it was decided.
    #[must_use]
    pub fn policy_version(mut self, version: impl Into<String>) -> Self {
        self.proto.policy_version = version.into();
        self
    }

    /// A JSON object. Audit redacts and seals it; still, do not put a secret here knowingly.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// The id under which this event is recorded before or again: the same id is the same event.
    #[must_use]
    pub fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self.repeated = true;
        self
    }

    /// The id under which this event is recorded now for the first time, and may be again later. It travels with others, as
    /// one that comes again does not.
    #[must_use]
    pub fn first_id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self.repeated = false;
        self
    }

    /// When it happened, where that is not when it is recorded.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    pub(crate) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// As it is sent, but for instance and sequence.
    pub(crate) fn into_proto(self, clock: &dyn Clock) -> Result<proto::Event, Error> {
        let details = match self.details {
            Value::Null => "{}".to_owned(),
            Value::Object(object) => Value::Object(object).to_string(),
            _ => return Err(Error::Details),
        };
        let event = proto::Event {
            event_id: self.id.unwrap_or_else(|| EventId::generate(clock)).to_string(),
            time: Some(prost_types::Timestamp::from(
                self.time.unwrap_or_else(|| clock.now()),
            )),
            details,
            ..self.proto
        };
        let size = prost::Message::encoded_len(&event);
        if size > MAX_EVENT {
            return Err(Error::TooLarge { size, max: MAX_EVENT });
        }
        Ok(event)
    }
}
