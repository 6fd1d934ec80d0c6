//! Names that people give: tenants, subjects, agents; and those that we give: services.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name outside the allowed alphabet or length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} must be 1 to {max} characters of letters, digits, '.', '_', '-', '@', ':' and start with a letter or digit"
)]
pub struct InvalidName {
    pub what: &'static str,
    pub max: usize,
}

const MAX_NAME: usize = 128;

fn check(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let all_good = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-@:".contains(&b));
    if starts_well && all_good && text.len() <= MAX_NAME {
        Ok(())
    } else {
        Err(InvalidName { what, max: MAX_NAME })
    }
}

macro_rules! name {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check($what, text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                check($what, &text)?;
                Ok(Self(text))
            }
        }
    )*};
}

name! {
    /// Whose data it is; every row and every lookup has one.
    Tenant, "tenant";
    /// A person or program inside a tenant.
    Subject, "subject";
    /// A named agent configuration.
    AgentName, "agent";
}

/// A text that names no service of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no service is called {0:?}")]
pub struct UnknownService(pub String);

/// The services, and `client` for whoever comes through the public door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceName {
    Gateway,
    Runtime,
    Memory,
    SandboxBroker,
    EgressProxy,
    Hitl,
    Audit,
    Client,
}

impl ServiceName {
    /// Those that have a certificate.
    pub const SERVICES: [Self; 7] = [
        Self::Gateway,
        Self::Runtime,
        Self::Memory,
        Self::SandboxBroker,
        Self::EgressProxy,
        Self::Hitl,
        Self::Audit,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Runtime => "runtime",
            Self::Memory => "memory",
            Self::SandboxBroker => "sandbox-broker",
            Self::EgressProxy => "egress-proxy",
            Self::Hitl => "hitl",
            Self::Audit => "audit",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ServiceName {
    type Err = UnknownService;

    fn from_str(text: &str) -> Result<Self, UnknownService> {
        Self::SERVICES
            .into_iter()
            .chain([Self::Client])
            .find(|service| service.as_str() == text)
            .ok_or_else(|| UnknownService(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_alphabet_are_refused() {
        for text in ["", "-x", ".x", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
            assert!(text.parse::<Tenant>().is_err(), "{text:?}");
        }
        for text in ["a", "local", "ann@example.com", "team-1.x:y", &"x".repeat(128)] {
            assert!(text.parse::<Tenant>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_service_reads_back_its_name() {
        for service in ServiceName::SERVICES {
            assert_eq!(service.as_str().parse::<ServiceName>(), Ok(service));
        }
        assert!("root".parse::<ServiceName>().is_err());
    }
}
