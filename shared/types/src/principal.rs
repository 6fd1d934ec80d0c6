//! On whose behalf a call is made.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{RunId, SessionId};
use crate::name::{AgentName, Subject, Tenant};

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no role is called {0:?}; roles are user, approver, auditor, admin")]
pub struct UnknownRole(pub String);

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Approver,
    Auditor,
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::User, Self::Approver, Self::Auditor, Self::Admin];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

/// One human request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub tenant: Tenant,
    pub subject: Subject,
    pub roles: BTreeSet<Role>,
    /// May approve what their own runs ask for; only the embedded profile sets it.
    pub allow_self: bool,
}

/// One run, acting for the subject that began it, with no role of theirs but `user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPrincipal {
    pub tenant: Tenant,
    pub subject: Subject,
    pub agent: AgentName,
    pub session: SessionId,
    pub run: RunId,
}

/// Who a verified token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    Person(Person),
    Run(RunPrincipal),
}

impl Principal {
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        match self {
            Self::Person(person) => &person.tenant,
            Self::Run(run) => &run.tenant,
        }
    }

    #[must_use]
    pub fn subject(&self) -> &Subject {
        match self {
            Self::Person(person) => &person.subject,
            Self::Run(run) => &run.subject,
        }
    }
}
