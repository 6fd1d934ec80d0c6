//! Authorisation: from a peer and a request's head to a caller, or to a refusal.

use harombe_error::{Code, Failure, Reason};
use harombe_types::{Principal, Role, ServiceName};
use http::request::Parts;

use super::stack::Peer;
use super::{Inner, Route};
use crate::methods::{Kind, Rule};
use crate::{Authenticator, Caller, Door, PRINCIPAL_HEADER, Tokens};

/// A refusal, and who was refused as far as it is known.
pub(crate) struct Refused {
    pub(crate) caller: Option<ServiceName>,
    pub(crate) failure: Failure,
}

/// Who is calling, if they may call this method. Leaves no principal token in `parts` that was not verified.
pub(crate) async fn admit(
    server: &Inner,
    route: &Route,
    parts: &mut Parts,
    peer: &Peer,
) -> Result<Caller, Refused> {
    match &server.deps.door {
        Door::Internal(tokens) => internal(server, route, parts, peer, &**tokens),
        Door::Public(authenticator) => public(route, parts, &**authenticator).await,
    }
}

fn internal(
    server: &Inner,
    route: &Route,
    parts: &mut Parts,
    peer: &Peer,
    tokens: &dyn Tokens,
) -> Result<Caller, Refused> {
    let Peer::Service(service) = *peer else {
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
    authenticator: &dyn Authenticator,
) -> Result<Caller, Refused> {
    let service = ServiceName::Client;
    let refuse = |failure| refused(Some(service), failure);
    parts.headers.remove(PRINCIPAL_HEADER);
    let person = authenticator.authenticate(parts).await.map_err(refuse)?;
    if !route.rule.callers.contains(&service) {
        return Err(refuse(not_allowed("clients may not call this method")));
    }
    let principal = Principal::Person(person);
    if route.rule.principal != Kind::None {
        permit(route.rule, &principal).map_err(refuse)?;
    }
    Ok(Caller {
        service,
        principal: Some(principal),
    })
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
