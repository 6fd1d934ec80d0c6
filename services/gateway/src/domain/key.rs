//! An API key as it is kept: whom its bearer is taken for, and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use harombe_types::{AgentName, EventId, InvalidName, Person, Role, Subject, Tenant, Timestamp};

use super::secret::{Digest, KeyId};
use crate::Error;

const MAX_NAME: usize = 128;
const MAX_AGENTS: usize = 100;
/// The last millisecond of the year 9999: JSON has no later time, and a key with one could not be listed (RFC 3339 §1).
const LAST: Timestamp = Timestamp::from_millis(253_402_300_799_999);
/// The most that any limit of a key may be.
const MAX_LIMIT: u32 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) digest: Digest,
    pub(crate) bearer: Bearer,
    pub(crate) created_at: Timestamp,
    /// `TENANT/SUBJECT` of who made it.
    pub(crate) created_by: String,
    pub(crate) revoked: Option<Revocation>,
}

/// What whoever asks for a key decides about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) tenant: Tenant,
    /// What people call the key.
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) roles: BTreeSet<Role>,
    /// Empty: every agent.
    pub(crate) agents: BTreeSet<AgentName>,
    pub(crate) allow_self: bool,
    pub(crate) limits: KeyLimits,
    pub(crate) expires_at: Option<Timestamp>,
}

/// 0: what the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyLimits {
    pub(crate) requests_per_second: u32,
    pub(crate) burst: u32,
    pub(crate) streams: u32,
    pub(crate) messages_per_day: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) at: Timestamp,
    pub(crate) by: Revoker,
    /// Under which it is recorded, however often that is tried.
    pub(crate) event: EventId,
    /// The audit log is known to have it.
    pub(crate) recorded: bool,
}

/// Who revoked a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revoker {
    /// The operator's, when the key is not of that; `None` is the key's own.
    pub(crate) tenant: Option<Tenant>,
    pub(crate) subject: Subject,
}

impl fmt::Display for Revoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant}/{}", self.subject),
            None => fmt::Display::fmt(&self.subject, f),
        }
    }
}

impl FromStr for Revoker {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (tenant, subject) = match text.split_once('/') {
            Some((tenant, subject)) => (Some(tenant.parse()?), subject),
            None => (None, text),
        };
        let subject = subject.parse()?;
        Ok(Self { tenant, subject })
    }
}

/// Why a key opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nobody has this key: id or secret is wrong, or it was never handed out.
    Unknown,
    /// The right key, too late.
    Expired(Tenant),
    Revoked(Tenant),
}

impl Key {
    /// Whether it may be used now by somebody who knows its secret.
    pub(crate) fn fit(&self, now: Timestamp) -> Result<(), Unfit> {
        if self.revoked.is_some() {
            return Err(Unfit::Revoked(self.bearer.tenant.clone()));
        }
        match self.bearer.expires_at {
            Some(expires) if expires <= now => Err(Unfit::Expired(self.bearer.tenant.clone())),
            _ => Ok(()),
        }
    }
}

impl Bearer {
    pub(crate) fn person(&self) -> Person {
        Person {
            tenant: self.tenant.clone(),
            subject: self.subject.clone(),
            roles: self.roles.clone(),
            allow_self: self.allow_self,
        }
    }

    /// Whether such a key can be made at `now`.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let name = &self.name;
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(Error::KeyName);
        }
        if self.roles.is_empty() {
            return Err(Error::KeyRoles);
        }
        // Approvals, keys and the log are not kept apart by agent.
        if !self.agents.is_empty() && self.roles != BTreeSet::from([Role::User]) {
            return Err(Error::KeyAgents);
        }
        if self.agents.len() > MAX_AGENTS {
            return Err(Error::ManyAgents { max: MAX_AGENTS });
        }
        if self
            .expires_at
            .is_some_and(|expires| expires <= now || expires > LAST)
        {
            return Err(Error::KeyExpiry);
        }
        let KeyLimits {
            requests_per_second,
            burst,
            streams,
            messages_per_day,
        } = self.limits;
        if [requests_per_second, burst, streams, messages_per_day]
            .iter()
            .any(|limit| *limit > MAX_LIMIT)
        {
            return Err(Error::KeyLimit { max: MAX_LIMIT });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::secret::ApiKey;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn bearer() -> Bearer {
        Bearer {
            tenant: "acme".parse().unwrap(),
            name: "ci".to_owned(),
            subject: "ann".parse().unwrap(),
            roles: [Role::User].into(),
            agents: BTreeSet::new(),
            allow_self: false,
            limits: KeyLimits::default(),
            expires_at: None,
        }
    }

    #[test]
    fn what_cannot_be_is_not_made() {
        let check = |change: fn(&mut Bearer)| {
            let mut bearer = bearer();
            change(&mut bearer);
            bearer.check(NOW).is_ok()
        };
        assert!(check(|_| {}));
        assert!(check(|bearer| bearer.agents = ["default".parse().unwrap()].into()));
        assert!(check(
            |bearer| bearer.expires_at = Some(NOW.plus(Duration::from_millis(1)))
        ));
        assert!(!check(|bearer| bearer.expires_at = Some(NOW)));
        assert!(check(|bearer| bearer.expires_at = Some(LAST)));
        assert!(!check(
            |bearer| bearer.expires_at = Some(LAST.plus(Duration::from_millis(1)))
        ));
        assert!(!check(|bearer| bearer.name = String::new()));
        assert!(!check(|bearer| bearer.name = "a\nb".to_owned()));
        assert!(!check(|bearer| bearer.name = "x".repeat(129)));
        assert!(!check(|bearer| bearer.roles.clear()));
        assert!(!check(|bearer| bearer.limits.burst = 1_000_001));
        assert!(!check(|bearer| {
            bearer.agents = ["default".parse().unwrap()].into();
            bearer.roles.insert(Role::Approver);
        }));
    }

    #[test]
    fn who_revoked_reads_back() {
        for text in ["ann", "local/ann"] {
            assert_eq!(text.parse::<Revoker>().unwrap().to_string(), text);
        }
        for bad in ["", "/ann", "local/", "a/b/c"] {
            assert!(bad.parse::<Revoker>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_is_fit_until_it_expires_or_is_revoked() {
        let secret = ApiKey::generate().unwrap();
        let mut key = Key {
            id: secret.id().clone(),
            digest: secret.digest(),
            bearer: bearer(),
            created_at: NOW,
            created_by: "local/owner".to_owned(),
            revoked: None,
        };
        let tenant = key.bearer.tenant.clone();
        assert_eq!(key.fit(NOW), Ok(()));
        key.bearer.expires_at = Some(NOW.plus(Duration::from_secs(1)));
        assert_eq!(key.fit(NOW), Ok(()));
        assert_eq!(
            key.fit(NOW.plus(Duration::from_secs(1))),
            Err(Unfit::Expired(tenant.clone()))
        );
        key.revoked = Some(Revocation {
            at: NOW,
            by: "owner".parse().unwrap(),
            event: EventId::generate(&harombe_types::SystemClock),
            recorded: false,
        });
        assert_eq!(key.fit(NOW), Err(Unfit::Revoked(tenant)));
    }
}
