//! The egress policy: what the operator opened, everything else being closed.

mod file;
mod index;

use std::collections::BTreeSet;
use std::fmt;

use harombe_types::AgentName;
use ipnet::IpNet;

use crate::domain::authority::Authority;
use crate::domain::denial::Denial;
use crate::domain::host::{DnsName, Host};
use crate::domain::path::{self, PathPrefix};
use crate::domain::pattern::HostPattern;
use crate::domain::target::{Scheme, Target};

use index::Index;

/// The policy of a system that was given none: it allows nothing, and shows how to write one.
pub const DEFAULT_POLICY: &str = include_str!("policy/default.toml");

/// A method that a rule can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    Get,
    Head,
}

impl Method {
    /// Methods are case-sensitive (RFC 9110 §9.1); any other word is no method of ours.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "GET" => Some(Self::Get),
            "HEAD" => Some(Self::Head),
            _ => None,
        }
    }

    /// As it stands on the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }
}

/// What a rule opens: names, or addresses that are written as addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Host(HostPattern),
    Cidr(IpNet),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(pattern) => pattern.fmt(f),
            Self::Cidr(net) => net.fmt(f),
        }
    }
}

/// One `[[allow]]` of the policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    destination: Destination,
    scheme: Scheme,
    ports: BTreeSet<u16>,
    methods: BTreeSet<Method>,
    path_prefixes: Vec<PathPrefix>,
    /// `None` means every agent.
    agents: Option<BTreeSet<AgentName>>,
}

/// Everything that is wrong with a policy file, each with the place where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct PolicyFaults(pub Vec<String>);

/// A policy that was read without a fault.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    index: Index,
    trusted: Vec<HostPattern>,
    version: String,
}

/// Which rule allowed a request: its place in the file, counted from zero, and what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRef {
    pub position: usize,
    pub destination: String,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "allow[{}] {}", self.position, self.destination)
    }
}

impl Policy {
    /// The first twelve hexadecimal digits of the SHA-256 of the policy's text.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many rules it has; none means that nothing may leave.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Does the operator trust this host, so that reading from it is a low risk?
    pub fn trusts(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => self.trusted.iter().any(|pattern| pattern.matches(name)),
            Host::Address(_) => false,
        }
    }

    /// The trusted hosts as the risk rules of hitl write them: a name is that host alone, `*.x` every host below `x`.
    pub fn trusted_hosts(&self) -> Vec<String> {
        let written = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => name.to_string(),
            HostPattern::OneLabel(base) | HostPattern::AnyDepth(base) => format!("*.{base}"),
        };
        self.trusted.iter().map(written).collect()
    }

    /// The first rule that allows the request.
    ///
    /// # Errors
    /// How far the best rule got: host, then port and scheme, then method, then path.
    pub fn admit(&self, agent: &AgentName, method: &str, target: &Target) -> Result<RuleRef, Denial> {
        let Authority { host, port } = target.authority();
        let host_text = || host.to_string();
        let mut refusal = Denial::HostNotListed { host: host_text() };
        for (position, rule) in self.candidates(host) {
            if rule.agents.as_ref().is_some_and(|agents| !agents.contains(agent)) {
                continue;
            }
            let next = if rule.scheme != target.scheme() || !rule.ports.contains(port) {
                Denial::PortNotListed {
                    host: host_text(),
                    port: *port,
                    scheme: target.scheme().as_str(),
                }
            } else if !Method::parse(method).is_some_and(|method| rule.methods.contains(&method)) {
                Denial::MethodNotListed { host: host_text() }
            } else if let Err(denial) = rule.admit_path(target) {
                denial
            } else {
                return Ok(RuleRef {
                    position,
                    destination: rule.destination.to_string(),
                });
            };
            refusal = further(refusal, next);
        }
        Err(refusal)
    }

    /// Rules that name this host, in the order of the file.
    fn candidates(&self, host: &Host) -> impl Iterator<Item = (usize, &Rule)> {
        let mut positions = match host {
            Host::Name(name) => self.index.positions(name),
            Host::Address(address) => {
                let covers =
                    |rule: &Rule| matches!(rule.destination, Destination::Cidr(net) if net.contains(address));
                let covering = self.rules.iter().enumerate().filter(|(_, rule)| covers(rule));
                covering.map(|(position, _)| position).collect()
            }
        };
        positions.sort_unstable();
        positions
            .into_iter()
            .filter_map(|position| self.rules.get(position).map(|rule| (position, rule)))
    }
}

impl Rule {
    fn admit_path(&self, target: &Target) -> Result<(), Denial> {
        if self.path_prefixes.iter().any(PathPrefix::is_root) {
            return Ok(());
        }
        if let Some(ambiguous) = path::ambiguity(target.path()) {
            return Err(Denial::AmbiguousPath(ambiguous));
        }
        if self
            .path_prefixes
            .iter()
            .any(|prefix| prefix.covers(target.path()))
        {
            return Ok(());
        }
        Err(Denial::PathNotListed {
            host: target.authority().host.to_string(),
        })
    }

    fn pattern(&self) -> Option<&HostPattern> {
        match &self.destination {
            Destination::Host(pattern) => Some(pattern),
            Destination::Cidr(_) => None,
        }
    }
}

/// Of two refusals the one that got further, so that the answer names what is missing.
fn further(a: Denial, b: Denial) -> Denial {
    let rank = |denial: &Denial| match denial {
        Denial::HostNotListed { .. } => 0,
        Denial::PortNotListed { .. } => 1,
        Denial::MethodNotListed { .. } => 2,
        _ => 3,
    };
    if rank(&b) > rank(&a) { b } else { a }
}

/// The names a pattern could be filed under for `name`: itself, its parent, all its ancestors.
fn parents(name: &DnsName) -> impl Iterator<Item = &str> {
    name.as_str()
        .match_indices('.')
        .filter_map(|(at, _)| name.as_str().get(at + 1..))
}

#[cfg(test)]
mod tests;
