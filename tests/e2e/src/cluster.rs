//! Every service in a process of its own, on a loopback address that no other test has.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harombe::attach::{Client, Elsewhere};
use harombe::compose::{Config, ListenAddresses, PeerAddresses, StartError, init};
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{CreateKeyRequest, Key, KeyLimits, ListKeysRequest};
use harombe_rpc::{GrpcChannel, Public, TlsError};
use harombe_testkit::loopback;
use harombe_types::{Role, ServiceName, SystemClock};
use http::Uri;

use crate::Node;
use crate::outside::Outside;

/// Each calls only those before it. All start at once: none waits for another.
const SERVICES: [ServiceName; 7] = [
    ServiceName::Audit,
    ServiceName::Hitl,
    ServiceName::EgressProxy,
    ServiceName::SandboxBroker,
    ServiceName::Memory,
    ServiceName::Runtime,
    ServiceName::Gateway,
];

/// How often something is looked for before a test gives up, and how long between two looks.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// More than any test needs.
const UNLIMITED: KeyLimits = KeyLimits {
    requests_per_second: 10_000,
    burst: 10_000,
    streams: 10_000,
    messages_per_day: 1_000_000,
};

/// What a cluster is made of.
pub struct Plan {
    /// The program that runs a service.
    pub program: String,
    /// Everything that it writes lies here.
    pub dir: PathBuf,
    pub config: Config,
    /// The world outside, if the test has one of its own.
    pub outside: Option<Outside>,
    /// Runtimes, and gateways: so many of each. Gateways that are more than one share a store, which `config` names.
    pub replicas: u8,
    /// Where steps are counted and deaths are ordered, if they are.
    pub points: Option<PathBuf>,
}

/// Services as processes, each alive or not.
pub struct Cluster {
    plan: Plan,
    place: Ipv4Addr,
    nodes: BTreeMap<Instance, Node>,
    /// Opens the public door for one who may do everything, and approve what their own runs ask for.
    key: PathBuf,
}

/// A service, and which of its processes, from 0.
pub type Instance = (ServiceName, u8);

impl Cluster {
    /// Starts all of them.
    ///
    /// # Panics
    /// When one does not start: a test cannot go on.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub async fn start(mut plan: Plan) -> Self {
        let pki = plan.dir.join("pki");
        init(&pki, "e2e.harombe", &SystemClock).expect("the certificates");
        let place = loopback();
        plan.config.network.pki = Some(pki);
        plan.config.network.ops = place.to_string();
        plan.config.network.peers = peers(place, plan.replicas);
        let mut cluster = Self {
            key: plan.dir.join("key"),
            plan,
            place,
            nodes: BTreeMap::new(),
        };
        let instances = cluster.instances();
        for (service, nth) in &instances {
            cluster.write_config(*service, *nth);
        }
        let mut starting = Vec::new();
        for instance in instances {
            starting.push((instance, tokio::spawn(cluster.node(instance))));
        }
        for (instance, node) in starting {
            cluster
                .nodes
                .insert(instance, node.await.expect("a service starts"));
        }
        cluster.make_key().await;
        cluster
    }

    /// The first key, which a gateway writes once it is recorded, makes the one that tests use.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    async fn make_key(&self) {
        let (mut keys, first) = self.admitted().await.expect("a first key is in force");
        let request = CreateKeyRequest {
            name: "tests".to_owned(),
            subject: first.subject,
            roles: Role::ALL.iter().map(ToString::to_string).collect(),
            allow_self: true,
            limits: Some(UNLIMITED),
            ..CreateKeyRequest::default()
        };
        let made = keys.create_key(request).await.expect("a key").into_inner();
        std::fs::write(&self.key, made.api_key).expect("the key's file");
        std::fs::set_permissions(&self.key, Permissions::from_mode(0o600)).expect("the key's mode");
    }

    /// The first key, once a gateway admits it. A file is there a moment before its key is in force, and goes again where
    /// another gateway was faster.
    async fn admitted(&self) -> Option<(KeyServiceClient<GrpcChannel>, Key)> {
        for _ in 0..TRIES {
            for nth in 0..self.plan.replicas {
                let path = self.data(nth).join("admin.key");
                let Ok(client) = self.client_with(nth, &path) else {
                    continue;
                };
                let mut keys = client.keys;
                let listed = keys.list_keys(ListKeysRequest::default()).await;
                let first = listed.ok().and_then(|listed| listed.into_inner().keys.pop());
                if let Some(first) = first {
                    return Some((keys, first));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// A client of the nth gateway.
    ///
    /// # Panics
    /// When no channel can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn client(&self, nth: u8) -> Client {
        self.client_with(nth, &self.key).expect("a client")
    }

    fn client_with(&self, nth: u8, key: &Path) -> Result<Client, StartError> {
        let server = Elsewhere {
            url: self.door(nth),
            key_file: Some(key.to_owned()),
            ca: None,
        };
        Client::elsewhere(&server)
    }

    /// The channel of a client of the first gateway.
    ///
    /// # Errors
    /// The compiled protos cannot be read.
    pub fn public(&self) -> Result<GrpcChannel, TlsError> {
        GrpcChannel::public(&Public {
            uri: self.door(0),
            ca: None,
            key: std::fs::read_to_string(&self.key).ok(),
        })
    }

    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    fn door(&self, nth: u8) -> Uri {
        let address = address(self.place, ServiceName::Gateway, nth);
        format!("http://{address}").parse().expect("an address")
    }

    fn instances(&self) -> Vec<Instance> {
        let replicas = |service| match service {
            ServiceName::Runtime | ServiceName::Gateway => self.plan.replicas,
            _ => 1,
        };
        let all = SERVICES.iter();
        all.flat_map(|service| (0..replicas(*service)).map(|nth| (*service, nth)))
            .collect()
    }

    /// Each has a file of its own, because each listens somewhere else.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    fn write_config(&self, service: ServiceName, nth: u8) {
        let mut config = self.plan.config.clone();
        config.network.listen = listen(self.place, nth);
        config.gateway.public.listen = Some(SocketAddr::from((self.place, port(ServiceName::Gateway, nth))));
        let text = config.to_toml().expect("a configuration");
        std::fs::write(self.config_file((service, nth)), text).expect("the configuration file");
    }

    fn config_file(&self, (service, nth): Instance) -> PathBuf {
        self.plan.dir.join(format!("{service}-{nth}.toml"))
    }

    /// The first of each share one data directory, in which each has its own folder; a second one has another.
    #[must_use]
    pub fn data(&self, nth: u8) -> PathBuf {
        match nth {
            0 => self.plan.dir.join("data"),
            nth => self.plan.dir.join(format!("data-{nth}")),
        }
    }

    fn node(&self, instance: Instance) -> impl Future<Output = Node> + Send + use<> {
        let (service, nth) = instance;
        let mut command = tokio::process::Command::new(&self.plan.program);
        command
            .arg("serve")
            .arg(service.as_str())
            .arg(self.data(nth))
            .arg(self.config_file(instance));
        if let Some(points) = &self.plan.points {
            command.arg("--points").arg(points);
        }
        if let (ServiceName::EgressProxy, Some(outside)) = (service, &self.plan.outside) {
            command.args(outside.arguments(&self.plan.dir));
        }
        async move { Node::spawn(&mut command).await }
    }

    /// Where a service is.
    ///
    /// # Panics
    /// Never: every service has a place.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn uri(&self, service: ServiceName) -> Uri {
        let addresses = listen(self.place, 0);
        let address = addresses.of(service).expect("a service that others call");
        format!("https://{address}").parse().expect("an address")
    }

    /// The directory with every service's certificate.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.plan.dir.join("pki")
    }

    /// Its process, while it lives.
    #[must_use]
    pub fn id(&self, instance: Instance) -> Option<u32> {
        self.nodes.get(&instance)?.id()
    }

    /// Which of its processes are alive as far as anybody was told.
    pub fn alive(&self, service: ServiceName) -> impl Iterator<Item = u8> + '_ {
        let nodes = self.nodes.keys();
        nodes
            .filter(move |(name, _)| *name == service)
            .map(|(_, nth)| *nth)
    }

    /// SIGKILL: it says and writes nothing more.
    pub async fn kill(&mut self, instance: Instance) {
        if let Some(node) = self.nodes.remove(&instance) {
            node.kill().await;
        }
    }

    /// Lets it end in order; returns what it said last.
    pub async fn stop_one(&mut self, instance: Instance) -> Vec<String> {
        match self.nodes.remove(&instance) {
            Some(node) => node.stop().await,
            None => Vec::new(),
        }
    }

    /// Starts it again, where it was.
    pub async fn revive(&mut self, instance: Instance) {
        let node = self.node(instance).await;
        self.nodes.insert(instance, node);
    }

    /// The instance with that process id, once it is dead; it is no longer among the living then.
    pub async fn died(&mut self, process: u32) -> Option<Instance> {
        let found = self.nodes.iter().find(|(_, node)| node.id() == Some(process));
        let instance = *found?.0;
        let mut node = self.nodes.remove(&instance)?;
        // A process that cannot be waited for is gone.
        let _ = node.died().await;
        Some(instance)
    }

    /// Ends all in order: callers before those they call.
    pub async fn stop(mut self) {
        for service in SERVICES.into_iter().rev() {
            let instances: Vec<_> = self.alive(service).map(|nth| (service, nth)).collect();
            for instance in instances {
                self.stop_one(instance).await;
            }
        }
    }

    /// Everything that it wrote lies under it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.plan.dir
    }
}

/// The nth process of a service listens ten ports further for each.
fn port(service: ServiceName, nth: u8) -> u16 {
    let base = match service {
        ServiceName::Runtime => 7401,
        ServiceName::Memory => 7402,
        ServiceName::SandboxBroker => 7403,
        ServiceName::EgressProxy => 7404,
        ServiceName::Hitl => 7405,
        ServiceName::Audit => 7406,
        ServiceName::Gateway | ServiceName::Client => 7400,
    };
    base + 10 * u16::from(nth)
}

fn address(place: Ipv4Addr, service: ServiceName, nth: u8) -> String {
    format!("{place}:{}", port(service, nth))
}

fn listen(place: Ipv4Addr, nth: u8) -> ListenAddresses {
    let at = |service| address(place, service, nth);
    ListenAddresses {
        runtime: at(ServiceName::Runtime),
        memory: at(ServiceName::Memory),
        sandbox_broker: at(ServiceName::SandboxBroker),
        egress_proxy: at(ServiceName::EgressProxy),
        hitl: at(ServiceName::Hitl),
        audit: at(ServiceName::Audit),
    }
}

fn peers(place: Ipv4Addr, replicas: u8) -> PeerAddresses {
    let at = |service, nth| address(place, service, nth);
    let one = |service| vec![at(service, 0)];
    PeerAddresses {
        runtime: (0..replicas).map(|nth| at(ServiceName::Runtime, nth)).collect(),
        memory: one(ServiceName::Memory),
        sandbox_broker: one(ServiceName::SandboxBroker),
        egress_proxy: one(ServiceName::EgressProxy),
        hitl: one(ServiceName::Hitl),
        audit: one(ServiceName::Audit),
    }
}
