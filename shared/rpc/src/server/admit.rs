//! Authorisation: from a peer and a request's head to a caller, or to a refusal.

use std::sync::Arc;

use harombe_error::{Code, Failure, Reason};
use harombe_types::{Principal, Role, ServiceName};
use http::request::Parts;

use super::connections::Seat;
use super::stack::Peer;
use super::{Inner, Route};
use crate::methods::{Kind, Rule};
use crate::{Authenticator, Caller, Door, InProcess, PRINCIPAL_HEADER, Place, Tokens};

/// A refusal, and who was refused as far as it is known.
pub(crate) struct Refused {
    pub(crate) caller: Option<ServiceName>,
    pub(crate) failure: Failure,
}

/// A caller who may call.
pub(crate) struct Admitted {
    pub(crate) caller: Caller,
    /// What the call takes up.
    pub(crate) place: Option<Place>,
}

/// Who is calling, if they may call this method. Leaves no principal token in `parts` that was not verified.
pub(crate) async fn admit(
    server: &Inner,
    route: &Route,
    parts: &mut Parts,
    peer: &Peer,
) -> Result<Admitted, Refused> {
    match &server.deps.door {
        Door::Internal(tokens) => {
            let caller = internal(server, route, parts, peer, &**tokens)?;
            Ok(Admitted { caller, place: None })
        }
        Door::Public(authenticator) => public(route, parts, peer, &**authenticator).await,
    }
}

fn internal(
    server: &Inner,
    route: &Route,
    parts: &mut Parts,
    peer: &Peer,
    tokens: &dyn Tokens,
) -> Result<Caller, Refused> {
    let (Peer::InProcess(service) | Peer::Certified(service)) = *peer else {
        return Err(refused(
            None,
            unauthenticated("services prove who they are by a certificate"),
        ));
    };
    let refuse = |failure| refused(Some(service), failure);
    if !route.rule.callers.contains(&service) {
        return Err(refuse(not_allowed(format!("{service} may not call this method"))));
    }
    if route.rule.principal == Kind::None {
        parts.headers.remove(PRINCIPAL_HEADER);
        return Ok(Caller {
            service,
            principal: None,
        });
    }
    let Some(value) = parts.headers.get(PRINCIPAL_HEADER) else {
        return Err(refuse(unauthenticated("a principal token is needed")));
    };
    let token = value
        .to_str()
        .map_err(|_| refuse(unauthenticated("the principal token is not text")))?;
    let principal = tokens
        .verify(token, server.name, server.deps.clock.now())
        .map_err(refuse)?;
    permit(route.rule, &principal).map_err(refuse)?;
    Ok(Caller {
        service,
        principal: Some(principal),
    })
}

async fn public(
    route: &Route,
    parts: &mut Parts,
    peer: &Peer,
    authenticator: &dyn Authenticator,
) -> Result<Admitted, Refused> {
    let service = ServiceName::Client;
    let refuse = |failure| refused(Some(service), failure);
    parts.headers.remove(PRINCIPAL_HEADER);
    if let Peer::InProcess(name) = *peer {
        parts.extensions.insert(InProcess(name));
    }
    let person = authenticator.authenticate(parts).await.map_err(refuse)?;
    if let Some(seat) = parts.extensions.get::<Arc<Seat>>() {
        seat.mark_known();
    }
    if !is_for_clients(route.rule) {
        return Err(refuse(not_allowed("clients may not call this method")));
    }
    let principal = Principal::Person(person);
    permit(route.rule, &principal).map_err(refuse)?;
    let place = authenticator.place(parts).map_err(refuse)?;
    let caller = Caller {
        service,
        principal: Some(principal),
    };
    Ok(Admitted { caller, place })
}

/// What names clients, and what the gateway forwards for the person who calls it (CONTRACTS §2).
fn is_for_clients(rule: &Rule) -> bool {
    let named = |service| rule.callers.contains(&service);
    rule.principal == Kind::Person && (named(ServiceName::Client) || named(ServiceName::Gateway))
}

fn permit(rule: &Rule, principal: &Principal) -> Result<(), Failure> {
    let kind = match principal {
        Principal::Person(_) => Kind::Person,
        Principal::Run(_) => Kind::Run,
    };
    if kind != rule.principal {
        return Err(not_allowed(
            "the token speaks for another kind of principal than this method asks for",
        ));
    }
    let has_role = |role: &Role| match principal {
        Principal::Person(person) => person.roles.contains(role),
        Principal::Run(_) => *role == Role::User,
    };
    if rule.roles.is_empty() || rule.roles.iter().any(has_role) {
        return Ok(());
    }
    let roles: Vec<_> = rule.roles.iter().map(|role| role.as_str()).collect();
    Err(not_allowed(format!(
        "this method needs one of the roles {}",
        roles.join(", ")
    )))
}

fn refused(caller: Option<ServiceName>, failure: Failure) -> Refused {
    Refused { caller, failure }
}

fn unauthenticated(message: &str) -> Failure {
    Failure::new(Code::Unauthenticated, Reason::Unauthenticated, message)
}

fn not_allowed(message: impl Into<String>) -> Failure {
    Failure::new(Code::PermissionDenied, Reason::NotAllowed, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::Methods;

    fn check(path: &str, expected: bool) {
        let methods = Methods::ours().unwrap();
        let rule = methods.get(path).unwrap().rule.as_ref().unwrap();
        assert_eq!(is_for_clients(rule), expected, "{path}");
    }

    #[test]
    fn clients_reach_what_is_theirs_and_what_the_gateway_forwards() {
        check("/harombe.agent.v1.AgentService/SendMessage", true);
        check("/harombe.hitl.v1.ApprovalService/Decide", true);
        check("/harombe.audit.v1.AuditService/Query", true);
        check("/harombe.audit.v1.AuditService/Append", false);
        check("/harombe.runtime.v1.RuntimeService/Run", false);
        check("/harombe.memory.v1.ConversationService/BeginTurn", false);
        check("/harombe.hitl.v1.AuthorizationService/RedeemGrant", false);
    }
}
