//! Who is calling, as the authorisation layer established it.

use harombe_error::{Code, Failure, Reason};
use harombe_types::{Person, Principal, RunPrincipal, ServiceName};
use tonic::{Request, Status};

/// The calling service, and on whose behalf it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// From the channel: the layer in process, the certificate over TLS, `client` at the public door.
    pub service: ServiceName,
    /// `None` where the method's auth option asks for no principal.
    pub principal: Option<Principal>,
}

/// Access to the caller from inside a handler. The errors mean that the method's auth option does not ask for what
/// the handler wants; a call that passed the server stack never sees them.
pub trait CallerExt {
    /// # Errors
    /// The request did not come through [`crate::Server`].
    fn caller(&self) -> Result<Caller, Status>;

    /// # Errors
    /// The method's principal is not PERSON.
    fn person(&self) -> Result<Person, Status>;

    /// # Errors
    /// The method's principal is not RUN.
    fn run(&self) -> Result<RunPrincipal, Status>;
}

impl<T> CallerExt for Request<T> {
    fn caller(&self) -> Result<Caller, Status> {
        established(self).cloned()
    }

    fn person(&self) -> Result<Person, Status> {
        match &established(self)?.principal {
            Some(Principal::Person(person)) => Ok(person.clone()),
            _ => Err(refused("a person's token is needed")),
        }
    }

    fn run(&self) -> Result<RunPrincipal, Status> {
        match &established(self)?.principal {
            Some(Principal::Run(run)) => Ok(run.clone()),
            _ => Err(refused("a run's token is needed")),
        }
    }
}

fn established<T>(request: &Request<T>) -> Result<&Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .ok_or_else(|| refused("the caller was not established"))
}

fn refused(message: &str) -> Status {
    Failure::new(Code::PermissionDenied, Reason::NotAllowed, message).to_status()
}
