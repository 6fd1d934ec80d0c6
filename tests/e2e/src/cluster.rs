//! Every service in a process of its own, on a loopback address that no other test has.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harombe::attach::Client;
use harombe::compose::{Config, init};
use harombe_proto::agent::v1::KeyLimits;
use harombe_rpc::{GrpcChannel, Public};
use harombe_testkit::loopback;
use harombe_types::{ServiceName, SystemClock};
use http::Uri;

use crate::place::SERVICES;
use crate::{Clocks, Cut, Node, Outside, Place};

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
    /// Wires that will be cut, if any.
    pub cut: Option<Cut>,
    /// What they log, as JSON into a file each; trouble only, for people, if it is not said.
    pub log: Option<String>,
    /// Runtimes, and gateways: so many of each. Gateways that are more than one share a store, which `config` names.
    pub replicas: u8,
    /// Where steps are counted and deaths are ordered, if they are.
    pub points: Option<PathBuf>,
    /// The clocks that they go by; the machine's own when there are none.
    pub clocks: Option<Clocks>,
}

/// Services as processes, each alive or not.
pub struct Cluster {
    plan: Plan,
    place: Place,
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
    pub async fn start(plan: Plan) -> Self {
        init(&plan.dir.join("pki"), "e2e.harombe", &SystemClock).expect("the certificates");
        let mut cluster = Self {
            key: plan.dir.join("key"),
            plan,
            place: Place::at(loopback()),
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
        let data: Vec<_> = (0..cluster.plan.replicas).map(|nth| cluster.data(nth)).collect();
        let made = cluster.place.make_key(&data, UNLIMITED, &cluster.key).await;
        made.expect("a key for the tests");
        cluster
    }

    /// A client of the nth gateway.
    ///
    /// # Panics
    /// When no channel can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn client(&self, nth: u8) -> Client {
        self.place.client(nth, &self.key).expect("a client")
    }

    /// The channel of a client of the first gateway.
    ///
    /// # Errors
    /// The compiled protos cannot be read.
    pub fn public(&self) -> Result<GrpcChannel, Box<dyn Error + Send + Sync>> {
        let door = Public {
            uri: self.place.door(0)?,
            ca: None,
            key: std::fs::read_to_string(&self.key).ok(),
        };
        Ok(GrpcChannel::public(&door)?)
    }

    /// Where the public door of the first gateway is, and the file with a key to it.
    #[must_use]
    pub fn door(&self) -> (SocketAddr, PathBuf) {
        (self.place.address(ServiceName::Gateway, 0), self.key.clone())
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
        self.place
            .configure(&mut config, &self.pki(), nth, self.plan.replicas);
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

    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
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
        if let Some(clocks) = &self.plan.clocks {
            command.arg("--skew").arg(clocks.file(service));
        }
        if let Some(log) = &self.plan.log {
            let path = self.plan.dir.join(format!("{service}-{nth}.log"));
            let file = File::options().append(true).create(true).open(path);
            command
                .arg("--log")
                .arg(log)
                .stderr(file.expect("a file for the log"));
        }
        if let Some(cut) = &self.plan.cut {
            command.args(cut.arguments());
        }
        if let (ServiceName::EgressProxy, Some(outside)) = (service, &self.plan.outside) {
            command.args(outside.arguments());
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
        self.place.uri(service).expect("an address")
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
