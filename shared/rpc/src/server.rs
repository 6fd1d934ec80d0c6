//! The server stack: what every call passes before a handler sees it, the same in process and over the network.

mod admit;
mod answers;
mod body;
mod complaints;
mod connections;
mod handler;
mod health;
mod http;
mod listen;
mod patience;
mod public;
mod room;
mod stack;
mod tally;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use harombe_error::Failure;
use harombe_types::{Clock, ServiceName};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;

use crate::methods::{Method, Methods, MethodsError, Rule};
use crate::{Door, Metrics, Place, Refusals, TaskSet};
use handler::{Handler, Mounted};
use health::ServerHealth;
use room::Room;
use tally::{MethodTally, Tally};

pub use listen::ServeError;
pub use public::{PeerAddr, PublicLimits, serve_public};

pub(crate) use body::Guarded;
pub(crate) use stack::{Peer, deadline_exceeded};

/// Unary calls that a server works on at once for one caller, while no other has much under way; twice as many for all of
/// them together, of which each gets a share. Callers who reset their calls do not get past it: what was begun is finished.
pub const MAX_HANDLERS: usize = 4096;

/// The largest message, in bytes, that is taken of anyone: health and reflection are asked for names.
const MAX_OPEN: usize = 4096;

/// A server that would let calls through unchecked is not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the method options cannot be read")]
    Methods(#[from] MethodsError),
    #[error("{0} has no auth option; add one to its proto")]
    NoRule(Box<str>),
    #[error("no proto of ours describes the service {0}")]
    UnknownService(&'static str),
    #[error("the descriptors cannot be served by reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// What a server needs from outside.
#[derive(Clone)]
pub struct Deps {
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    pub refusals: Arc<dyn Refusals>,
    /// Where the calls are counted; the servers of one process share it.
    pub metrics: Metrics,
}

/// A set of gRPC services behind one door. Clones are handles to the same server.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    name: ServiceName,
    deps: Deps,
    methods: &'static Methods,
    routes: HashMap<&'static str, Route>,
    /// Services that anyone may call who reaches the server.
    open: Vec<Open>,
    tasks: TaskSet,
    /// One for each handler that goes on even if its caller does not wait.
    room: Arc<Room>,
    serving: watch::Sender<bool>,
}

/// A service by the `/service/` with which its paths begin.
type Open = (String, Arc<dyn Handler>);

struct Route {
    method: &'static Method,
    rule: &'static Rule,
    handler: Arc<dyn Handler>,
    tally: Arc<MethodTally>,
}

impl Server {
    /// Begins the server of the service `name`, which is the audience that principal tokens must name.
    #[must_use]
    pub fn builder(name: ServiceName, deps: Deps) -> ServerBuilder {
        ServerBuilder {
            name,
            deps,
            mounted: Vec::new(),
            health: false,
            reflection: false,
            tasks: TaskSet::new(),
        }
    }

    #[must_use]
    pub fn name(&self) -> ServiceName {
        self.inner.name
    }

    /// The tasks of this server: its detached handlers, and whatever the service adds.
    #[must_use]
    pub fn tasks(&self) -> &TaskSet {
        &self.inner.tasks
    }

    /// Answers a request that a public HTTP door took: nothing is known of its peer but what the request's extensions say
    /// ([`PeerAddr`]). For a server with a public door; any other refuses it.
    pub async fn answer(&self, request: ::http::Request<Body>) -> ::http::Response<Body> {
        self.call(request, &Peer::Unknown).await
    }

    /// Whether a call of the method at `path` with these headers would be let in. For a door that reads a body before it can
    /// make the call, and must not read that of anybody: the place is for that time. It is a call of its own to whoever counts calls.
    ///
    /// # Errors
    /// What the call would be refused with.
    pub async fn admits(&self, path: &str, parts: &::http::request::Parts) -> Result<Option<Place>, Failure> {
        stack::admits(&self.inner, path, parts).await
    }

    /// Says whether this server wants calls; at first it does. With `false` its health answers `NOT_SERVING`, so that
    /// balancers turn away, while calls that come nevertheless are still served: the first step of a stop.
    pub fn set_serving(&self, serving: bool) {
        self.inner.serving.send_replace(serving);
    }

    /// What [`set_serving`](Self::set_serving) said last.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        *self.inner.serving.borrow()
    }

    pub(crate) fn methods(&self) -> &'static Methods {
        self.inner.methods
    }

    pub(crate) async fn call(&self, request: ::http::Request<Body>, peer: &Peer) -> ::http::Response<Body> {
        stack::call(&self.inner, request, peer).await
    }
}

/// Collects the services of a [`Server`].
pub struct ServerBuilder {
    name: ServiceName,
    deps: Deps,
    mounted: Vec<(&'static str, Arc<dyn Handler>)>,
    health: bool,
    reflection: bool,
    tasks: TaskSet,
}

impl ServerBuilder {
    /// Serves a generated `XServer`.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: tower::Service<::http::Request<Body>, Response = ::http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.mounted.push((S::NAME, Arc::new(Mounted(service))));
        self
    }

    /// Uses this task set, so that the service's own loops and its handlers end together.
    #[must_use]
    pub fn tasks(mut self, tasks: TaskSet) -> Self {
        self.tasks = tasks;
        self
    }

    /// Answers `grpc.health.v1` to anyone: a server that is built has its store open, so it is serving until
    /// [`Server::set_serving`] says otherwise.
    #[must_use]
    pub fn health(mut self) -> Self {
        self.health = true;
        self
    }

    /// Describes the mounted services to anyone by `grpc.reflection.v1`.
    #[must_use]
    pub fn reflection(mut self) -> Self {
        self.reflection = true;
        self
    }

    /// # Errors
    /// A method of a service has no auth option, or a service is not in our protos.
    pub fn build(self) -> Result<Server, BuildError> {
        let methods = Methods::ours()?;
        let serving = watch::Sender::new(true);
        let open = self.open(&serving)?;
        let tally = Tally::new(&self.deps.metrics);
        let mut routes = HashMap::new();
        for (service, handler) in self.mounted {
            let before = routes.len();
            for method in methods.of_service(service) {
                let rule = method
                    .rule
                    .as_ref()
                    .ok_or_else(|| BuildError::NoRule(method.path.clone()))?;
                let route = Route {
                    method,
                    rule,
                    handler: Arc::clone(&handler),
                    tally: tally.of_method(self.name, &method.path, method.unary),
                };
                routes.insert(&*method.path, route);
            }
            if routes.len() == before {
                return Err(BuildError::UnknownService(service));
            }
        }
        let inner = Inner {
            name: self.name,
            deps: self.deps,
            methods,
            routes,
            open,
            tasks: self.tasks,
            room: Room::new(2 * MAX_HANDLERS),
            serving,
        };
        Ok(Server {
            inner: Arc::new(inner),
        })
    }

    fn open(&self, serving: &watch::Sender<bool>) -> Result<Vec<Open>, BuildError> {
        let mut open = Vec::new();
        if self.health {
            let health = HealthServer::new(ServerHealth {
                services: self.mounted.iter().map(|(service, _)| *service).collect(),
                serving: serving.subscribe(),
                stop: self.tasks.token(),
            });
            open.push(mounted(health.max_decoding_message_size(MAX_OPEN)));
        }
        if self.reflection {
            let mut builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(harombe_proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            for (service, _) in &self.mounted {
                builder = builder.with_service_name(*service);
            }
            let reflection = builder.build_v1().map_err(BuildError::Reflection)?;
            open.push(mounted(reflection.max_decoding_message_size(MAX_OPEN)));
        }
        Ok(open)
    }
}

fn mounted<S>(service: S) -> Open
where
    S: tower::Service<::http::Request<Body>, Response = ::http::Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    (format!("/{}/", S::NAME), Arc::new(Mounted(service)))
}
