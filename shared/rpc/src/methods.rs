//! What the descriptors say of every method, read once into tables that a call only looks up.

use std::collections::HashMap;
use std::sync::LazyLock;

use harombe_proto::options::v1::{Auth, Idempotency, PrincipalKind};
use harombe_types::{Role, ServiceName, UnknownRole, UnknownService};
use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor};

const AUTH: &str = "harombe.options.v1.auth";
const IDEMPOTENCY: &str = "harombe.options.v1.idempotency";

/// An option that cannot be understood.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MethodsError {
    #[error("the descriptors cannot be read: {0}")]
    Descriptors(String),
    #[error("{method}: {source}")]
    Caller {
        method: Box<str>,
        source: UnknownService,
    },
    #[error("{method}: {source}")]
    Role { method: Box<str>, source: UnknownRole },
    #[error("{0}: the auth option names no principal kind, or roles where there is no principal")]
    Principal(Box<str>),
}

/// Whose authority a call must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Run,
    Person,
}

/// A method's auth option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) callers: Vec<ServiceName>,
    pub(crate) principal: Kind,
    /// Any one suffices; empty asks for none.
    pub(crate) roles: Vec<Role>,
}

/// What the stack needs to know of one method.
#[derive(Debug)]
pub(crate) struct Method {
    /// As in the request's URI: `/package.Service/Method`.
    pub(crate) path: Box<str>,
    pub(crate) service: Box<str>,
    /// Neither side streams.
    pub(crate) unary: bool,
    /// The client sends one message, whatever it gets.
    pub(crate) asks_once: bool,
    /// Its idempotency option names a key.
    pub(crate) repeatable: bool,
    pub(crate) rule: Option<Rule>,
}

/// Every method of our protos.
#[derive(Debug)]
pub(crate) struct Methods {
    by_path: HashMap<Box<str>, Method>,
}

static OURS: LazyLock<Result<Methods, MethodsError>> =
    LazyLock::new(|| Methods::parse(harombe_proto::DESCRIPTORS));

impl Methods {
    /// The table of the compiled protos: a constant that is computed at first use.
    pub(crate) fn ours() -> Result<&'static Self, MethodsError> {
        OURS.as_ref().map_err(Clone::clone)
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Method> {
        self.by_path.get(path)
    }

    pub(crate) fn of_service<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Method> {
        self.by_path
            .values()
            .filter(move |method| &*method.service == service)
    }

    fn parse(descriptors: &[u8]) -> Result<Self, MethodsError> {
        let broken = |error: &dyn std::fmt::Display| MethodsError::Descriptors(error.to_string());
        let pool = DescriptorPool::decode(descriptors).map_err(|error| broken(&error))?;
        let extension = |name: &str| {
            pool.get_extension_by_name(name)
                .ok_or_else(|| broken(&format_args!("no option {name}")))
        };
        let (auth, idempotency) = (extension(AUTH)?, extension(IDEMPOTENCY)?);
        let mut by_path = HashMap::new();
        for service in pool.services() {
            for method in service.methods() {
                let method = describe(service.full_name(), &method, &auth, &idempotency)?;
                by_path.insert(method.path.clone(), method);
            }
        }
        Ok(Self { by_path })
    }
}

fn describe(
    service: &str,
    method: &MethodDescriptor,
    auth: &ExtensionDescriptor,
    idempotency: &ExtensionDescriptor,
) -> Result<Method, MethodsError> {
    let path: Box<str> = format!("/{service}/{}", method.name()).into();
    let options = method.options();
    let rule = match option::<Auth>(&options, auth)? {
        Some(auth) => Some(rule(&path, &auth)?),
        None => None,
    };
    let repeatable =
        option::<Idempotency>(&options, idempotency)?.is_some_and(|found| !found.key_field.is_empty());
    Ok(Method {
        asks_once: !method.is_client_streaming(),
        unary: !method.is_client_streaming() && !method.is_server_streaming(),
        service: service.into(),
        path,
        repeatable,
        rule,
    })
}

fn option<M: prost_reflect::prost::Message + Default>(
    options: &DynamicMessage,
    extension: &ExtensionDescriptor,
) -> Result<Option<M>, MethodsError> {
    if !options.has_extension(extension) {
        return Ok(None);
    }
    match options.get_extension(extension).as_message() {
        Some(message) => message
            .transcode_to::<M>()
            .map(Some)
            .map_err(|error| MethodsError::Descriptors(error.to_string())),
        None => Ok(None),
    }
}

fn rule(path: &str, auth: &Auth) -> Result<Rule, MethodsError> {
    let caller = |name: &String| {
        name.parse().map_err(|source| MethodsError::Caller {
            method: path.into(),
            source,
        })
    };
    let role = |name: &String| {
        name.parse().map_err(|source| MethodsError::Role {
            method: path.into(),
            source,
        })
    };
    let rule = Rule {
        callers: auth.callers.iter().map(caller).collect::<Result<_, _>>()?,
        principal: match auth.principal() {
            PrincipalKind::None => Kind::None,
            PrincipalKind::Run => Kind::Run,
            PrincipalKind::Person => Kind::Person,
            PrincipalKind::Unspecified => return Err(MethodsError::Principal(path.into())),
        },
        roles: auth.roles.iter().map(role).collect::<Result<_, _>>()?,
    };
    if rule.principal == Kind::None && !rule.roles.is_empty() {
        return Err(MethodsError::Principal(path.into()));
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_protos_say() {
        let methods = Methods::ours().unwrap();
        let decide = methods.get("/harombe.hitl.v1.ApprovalService/Decide").unwrap();
        assert!(decide.unary && decide.repeatable);
        let expected = Rule {
            callers: vec![ServiceName::Gateway],
            principal: Kind::Person,
            roles: vec![Role::Approver, Role::Admin],
        };
        assert_eq!(decide.rule.as_ref(), Some(&expected));
        let list = methods.get("/harombe.hitl.v1.ApprovalService/List").unwrap();
        assert!(list.unary && !list.repeatable);
        assert!(
            !methods
                .get("/harombe.egress.v1.EgressService/Tunnel")
                .unwrap()
                .unary
        );
        assert!(methods.get("/harombe.hitl.v1.ApprovalService/Nothing").is_none());
    }

    #[test]
    fn every_method_has_an_auth_option() {
        for method in Methods::ours().unwrap().by_path.values() {
            assert!(method.rule.is_some(), "{}", method.path);
        }
    }
}
