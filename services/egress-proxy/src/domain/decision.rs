//! The decision pipeline: parse, allowlist, method and path, resolve, classify, pin.

use std::fmt;
use std::sync::Arc;

use harombe_types::AgentName;

use crate::domain::address::CheckedAddress;
use crate::domain::denial::Denial;
use crate::domain::host::Host;
use crate::domain::policy::{Method, Policy, PolicyFaults, RuleRef};
use crate::domain::reserved;
use crate::domain::resolver::{ResolveError, Resolver};
use crate::domain::target::Target;

/// What someone wants to send.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub agent: &'a AgentName,
    pub method: &'a str,
    pub url: &'a str,
}

/// A request that the policy admits; its name has not been resolved.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub target: Target,
    pub method: Method,
    pub rule: RuleRef,
}

/// A request that may be sent, to one of these addresses and no other.
#[derive(Clone, Debug)]
pub struct Allowed {
    pub target: Target,
    pub method: Method,
    pub rule: RuleRef,
    /// At least one. The dialler takes nothing else, so what was checked is what is dialled.
    pub pinned: Vec<CheckedAddress>,
}

/// Decides over requests by one policy.
pub struct Decider {
    policy: Result<Policy, PolicyFaults>,
    resolver: Arc<dyn Resolver>,
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decider")
            .field("policy_version", &self.policy_version())
            .finish_non_exhaustive()
    }
}

impl Decider {
    /// A policy that could not be read denies everything.
    pub fn new(policy: Result<Policy, PolicyFaults>, resolver: Arc<dyn Resolver>) -> Self {
        Self { policy, resolver }
    }

    /// The version of the policy in force; `none` when there is none.
    pub fn policy_version(&self) -> &str {
        self.policy.as_ref().map_or("none", Policy::version)
    }

    /// Decides without asking anyone: policy, syntax, allowlist, method and path.
    ///
    /// # Errors
    /// The first refusal.
    pub fn admit(&self, request: Request<'_>) -> Result<Admitted, Denial> {
        let policy = self.policy.as_ref().map_err(|_| Denial::PolicyUnavailable)?;
        let target = Target::parse(request.url)?;
        if let Host::Name(name) = &target.authority().host
            && reserved::is_reserved(name)
        {
            return Err(Denial::ReservedName {
                host: name.to_string(),
            });
        }
        let rule = policy.admit(request.agent, request.method, &target)?;
        if let Host::Address(address) = target.authority().host {
            CheckedAddress::check(address).map_err(|range| Denial::LiteralForbidden { address, range })?;
        }
        let method = Method::parse(request.method).ok_or_else(|| Denial::MethodNotListed {
            host: target.authority().host.to_string(),
        })?;
        Ok(Admitted { target, method, rule })
    }

    /// Does the operator trust the host of this request, so that reading from it is a low risk?
    pub fn trusts(&self, admitted: &Admitted) -> bool {
        admitted.method == Method::Get
            && self
                .policy
                .as_ref()
                .is_ok_and(|policy| policy.trusts(&admitted.target.authority().host))
    }

    /// Decides completely. Only a name that the policy admits is ever resolved.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn decide(&self, request: Request<'_>) -> Result<Allowed, Denial> {
        let Admitted { target, method, rule } = self.admit(request)?;
        let pinned = self.pin(&target.authority().host).await?;
        Ok(Allowed {
            target,
            method,
            rule,
            pinned,
        })
    }

    /// All addresses of a host, if every single one of them may be dialled.
    async fn pin(&self, host: &Host) -> Result<Vec<CheckedAddress>, Denial> {
        let name = match host {
            Host::Address(address) => {
                let checked = CheckedAddress::check(*address);
                return checked
                    .map(|address| vec![address])
                    .map_err(|range| Denial::LiteralForbidden {
                        address: *address,
                        range,
                    });
            }
            Host::Name(name) => name,
        };
        let unresolved = |error| Denial::Unresolved {
            host: name.to_string(),
            error,
        };
        let answer = self.resolver.resolve(name).await.map_err(unresolved)?;
        if answer.addresses.is_empty() {
            return Err(unresolved(ResolveError::NoAddress { ttl: answer.ttl }));
        }
        let check = |&address| {
            CheckedAddress::check(address).map_err(|range| Denial::AnswerForbidden {
                host: name.to_string(),
                address,
                range,
            })
        };
        answer.addresses.iter().map(check).collect()
    }
}

#[cfg(test)]
mod tests;
