//! Events: what a service may report, checked field by field before anything is written.

use aws_lc_rs::rand;
use harombe_canonical::Digest;
use harombe_redact::Scanner;
use harombe_types::{
    AgentName, ApprovalId, CallId, EventId, InstanceId, RunId, ServiceName, SessionId, Subject, Tenant,
    Timestamp,
};
use serde_json::Value;

use super::{DataKey, Leaf};
use crate::Error;

/// The most events in one batch.
pub const MAX_BATCH: usize = 1000;
const MAX_TEXT: usize = 256;
const MAX_KIND: usize = 64;

/// Bounds that the configuration sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an event's details, before redaction.
    pub details: usize,
}

/// An event as a service reports it; every id and name is already known to be one.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: EventId,
    /// The caller, as its certificate names it.
    pub service: ServiceName,
    pub kind: String,
    pub tenant: Tenant,
    pub principal: String,
    pub subject: Option<Subject>,
    pub agent: Option<AgentName>,
    pub run: Option<RunId>,
    pub session: Option<SessionId>,
    pub call: Option<CallId>,
    pub approval: Option<ApprovalId>,
    pub time: Timestamp,
    pub outcome: String,
    pub policy_version: String,
    pub instance: InstanceId,
    pub instance_seq: u64,
    /// A JSON object, or empty.
    pub details: String,
}

/// A leaf that lacks only its place: the sequence number of its tenant.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) id: [u8; 16],
    pub(crate) leaf: Leaf,
    pub(crate) sealed: Option<Vec<u8>>,
}

impl Event {
    /// Whose key seals the details: the person's, or the tenant's own when the event is about nobody.
    pub(crate) fn key_owner(&self) -> (&str, &str) {
        (
            self.tenant.as_str(),
            self.subject.as_ref().map_or("", Subject::as_str),
        )
    }

    /// Checks what the types do not say.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if self.kind.len() > MAX_KIND || !self.kind.contains('.') || !self.kind.split('.').all(is_word) {
            return Err(Error::Invalid("kind must be dotted lower case words"));
        }
        let is_line = |text: &str| text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
        for text in [&self.principal, &self.outcome, &self.policy_version] {
            if !is_line(text) {
                return Err(Error::Invalid(
                    "principal, outcome and policy version are single lines of at most 256 bytes",
                ));
            }
        }
        if self.principal.is_empty() || self.outcome.is_empty() {
            return Err(Error::Invalid("principal and outcome must not be empty"));
        }
        if self.instance_seq == 0 {
            return Err(Error::Invalid("instance sequence counts from 1"));
        }
        Ok(())
    }

    /// Redacts and seals the details and makes the leaf.
    pub(crate) fn draft(self, key: &DataKey, scanner: &Scanner, limits: Limits) -> Result<Draft, Error> {
        self.validate()?;
        let id = *self.id.as_uuid().as_bytes();
        let sealed = match clean(&self.details, scanner, limits)? {
            Some(details) => Some(key.seal(&id, details)?),
            None => None,
        };
        let text = |id: Option<String>| id.unwrap_or_default();
        let claimed_by = if self.service == ServiceName::Runtime {
            self.service.as_str()
        } else {
            ""
        };
        let leaf = Leaf {
            agent: text(self.agent.map(Into::into)),
            approval: text(self.approval.map(Into::into)),
            call: text(self.call.map(Into::into)),
            claimed_by: claimed_by.to_owned(),
            details_hash: text(sealed.as_deref().map(hash_of)),
            event_id: self.id.to_string(),
            instance: self.instance.to_string(),
            instance_seq: self.instance_seq,
            kind: self.kind,
            nonce: nonce()?,
            outcome: self.outcome,
            policy_version: self.policy_version,
            principal: self.principal,
            run: text(self.run.map(Into::into)),
            service: self.service.as_str().to_owned(),
            session: text(self.session.map(Into::into)),
            tenant: self.tenant.into(),
            tenant_seq: 0,
            time: self.time.to_string(),
            v: super::leaf::LEAF_VERSION,
        };
        Ok(Draft { id, leaf, sealed })
    }
}

impl Draft {
    /// Roughly the bytes that its entry takes.
    pub(crate) fn weight(&self) -> usize {
        const LEAF: usize = 1024;
        LEAF + self.sealed.as_ref().map_or(0, Vec::len)
    }

    /// Whether a stored leaf is this event, sent before.
    pub(crate) fn is_repeated_by(&self, stored: &Leaf) -> bool {
        let mine = &self.leaf;
        (&mine.event_id, &mine.tenant, &mine.service, &mine.kind)
            == (&stored.event_id, &stored.tenant, &stored.service, &stored.kind)
    }

    /// Whether a stored leaf holds the number that its writer gave now.
    pub(crate) fn is_numbered_as(&self, stored: &Leaf) -> bool {
        (&self.leaf.instance, self.leaf.instance_seq) == (&stored.instance, stored.instance_seq)
    }
}

/// What a leaf says about sealed details.
pub(crate) fn hash_of(sealed: &[u8]) -> String {
    Digest::of(sealed).to_string()
}

/// The details as they may be kept: an object, without secrets, in canonical form. `None` when there are none.
fn clean(details: &str, scanner: &Scanner, limits: Limits) -> Result<Option<Vec<u8>>, Error> {
    if details.is_empty() {
        return Ok(None);
    }
    if details.len() > limits.details {
        return Err(Error::TooLarge {
            what: "details",
            limit: limits.details,
        });
    }
    let mut value = harombe_canonical::parse(details.as_bytes()).map_err(Error::Details)?;
    if !value.is_object() {
        return Err(Error::Invalid("details must be a JSON object"));
    }
    if value.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(None);
    }
    scanner.redact_json(&mut value);
    harombe_canonical::to_vec::<Value>(&value)
        .map(Some)
        .map_err(Error::Details)
}

fn nonce() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests;
