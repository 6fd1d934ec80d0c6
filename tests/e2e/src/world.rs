//! A system with a scripted model, in a directory of its own, in one process or in many.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use harombe::attach::Client;
use harombe::compose::{Assembly, AuditPlace, Config, DataDir, Embedded, ModelSource, Pki};
use harombe_identity::{ServiceIdentity, TokenMinter};
use harombe_rpc::{GrpcChannel, Remote};
use harombe_testkit::loopback;
use harombe_types::{Clock as _, ServiceName, SystemClock};
use tonic::Status;

use crate::{Account, Cluster, Cut, Killer, Log, Node, Outside, Plan, Stage, Talk};

/// How the services are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// All in this process.
    Embedded,
    /// Audit in a process of its own, reached over mutual TLS; the rest in this one.
    AuditApart,
    /// Each in a process of its own, reached over mutual TLS.
    Processes,
}

/// What a test may change of a system before it starts.
pub struct Setup {
    pub config: Config,
    /// Kills at the wires between services in this process.
    pub killer: Option<Killer>,
    /// Wires that will be cut, wherever the services are.
    pub cut: Option<Cut>,
    /// What processes log, as JSON into a file each; trouble only, for people, if it is not said.
    pub log: Option<String>,
    pub outside: Option<Outside>,
}

impl AuditNode {
    /// The system makes its certificates at first start; a process apart needs its own before.
    async fn start(program: &str, world: &World) -> Self {
        make_certificates(&world.data());
        let log = world.dir.path().join("audit");
        let place = loopback();
        let alive = Node::audit(program, &world.data().join("audit/keys"), &log, place).await;
        Self {
            program: program.to_owned(),
            place,
            alive: Some(alive),
        }
    }

    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    fn uri(&self) -> http::Uri {
        self.alive.as_ref().expect("it was just started").uri()
    }
}

/// A running system and its directory.
pub struct World {
    dir: tempfile::TempDir,
    embedded: Option<Embedded>,
    audit: Option<AuditNode>,
    cluster: Option<Cluster>,
    account: Option<Account>,
    /// The door on the network, where the system is one process and has one.
    listens: Option<SocketAddr>,
}

/// Audit as a process of its own, alive or not.
struct AuditNode {
    program: String,
    place: Ipv4Addr,
    alive: Option<Node>,
}

impl World {
    /// Starts a system whose model plays `script`. `node` is the program that runs services apart.
    pub async fn start(stage: impl Into<Stage>, node: &str, script: &str) -> Self {
        Self::start_with(stage, node, script, |_| {}).await
    }

    /// The same, with changes.
    ///
    /// # Panics
    /// When it does not start: a test cannot go on.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub async fn start_with(
        stage: impl Into<Stage>,
        node: &str,
        script: &str,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let stage = stage.into();
        let topology = stage.topology();
        let dir = tempfile::Builder::new()
            .prefix("harombe-e2e-")
            .tempdir()
            .expect("a temporary directory");
        let model = dir.path().join("model.toml");
        std::fs::write(&model, script).expect("the script");
        let mut setup = Setup {
            config: Config::default(),
            killer: None,
            cut: None,
            log: None,
            outside: None,
        };
        change(&mut setup);
        let mut world = Self {
            dir,
            embedded: None,
            audit: None,
            cluster: None,
            account: stage.account(),
            listens: setup.config.gateway.public.listen,
        };
        let model = ModelSource::Scripted(model);
        if topology == Topology::Processes {
            world.cluster = Some(world.processes(node, setup, &model).await);
            return world;
        }
        let mut assembly = Assembly::new(&world.data(), setup.config, Some(model));
        if let Some(cut) = setup.cut {
            assembly.wire = Arc::new(cut.wire());
        }
        if let Some(killer) = setup.killer {
            assembly.wire = Arc::new(killer);
        }
        assembly.edges = setup.outside.as_ref().map(Outside::edges);
        if topology == Topology::AuditApart {
            let audit = AuditNode::start(node, &world).await;
            assembly.audit = AuditPlace::At(audit.uri());
            world.audit = Some(audit);
        }
        world.embedded = Some(assembly.start().await.expect("the system starts"));
        world
    }

    async fn processes(&self, node: &str, setup: Setup, model: &ModelSource) -> Cluster {
        let mut config = setup.config;
        if let Some(agent) = config.runtime.agents.get_mut("default") {
            agent.model = model.to_string();
        }
        let plan = Plan {
            program: node.to_owned(),
            dir: self.dir.path().to_owned(),
            config,
            outside: setup.outside,
            cut: setup.cut,
            log: setup.log,
            replicas: 1,
            points: None,
            clocks: None,
        };
        Cluster::start(plan).await
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where the log's files are.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        match self.audit {
            Some(_) => self.dir.path().join("audit"),
            None => self.data().join("audit"),
        }
    }

    /// A client of the public door.
    ///
    /// # Panics
    /// When no channel can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn client(&self) -> Client {
        if let Some(cluster) = &self.cluster {
            return cluster.client(0);
        }
        Client::at(&DataDir::socket_of(&self.data())).expect("a client")
    }

    /// A client in a session of its own.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn talk(&self) -> Result<Talk, Status> {
        let talk = Talk::begin(self.client()).await?;
        Ok(talk.kept_in(self.account.clone()))
    }

    /// The channel by which `from` calls a service in this process.
    #[must_use]
    pub fn channel(&self, to: ServiceName, from: ServiceName) -> Option<GrpcChannel> {
        if let Some(cluster) = &self.cluster {
            return self.remote(cluster, to, from);
        }
        let server = self.embedded.as_ref()?.server(to)?;
        Some(GrpcChannel::local(server, from))
    }

    fn remote(&self, cluster: &Cluster, to: ServiceName, from: ServiceName) -> Option<GrpcChannel> {
        if to == ServiceName::Gateway {
            return cluster.public().ok();
        }
        let remote = Remote {
            uri: cluster.uri(to),
            identity: self.identity(from),
            server: to,
        };
        GrpcChannel::remote(&remote).ok()
    }

    /// Where the public door listens on the network, and a key to it; `None` where the system is one process and has no such
    /// door, or no key yet.
    #[must_use]
    pub fn door(&self) -> Option<(SocketAddr, String)> {
        let (address, key) = match &self.cluster {
            Some(cluster) => cluster.door(),
            None => (self.listens?, self.data().join("admin.key")),
        };
        let key = std::fs::read_to_string(key).ok()?;
        Some((address, key.trim_end().to_owned()))
    }

    /// SIGKILL for the process of a service, where it has one of its own, and a new one in its place.
    pub async fn kill_and_revive(&mut self, service: ServiceName) {
        if let Some(cluster) = &mut self.cluster {
            cluster.kill((service, 0)).await;
            cluster.revive((service, 0)).await;
        }
    }

    /// Mints tokens as the gateway does.
    #[must_use]
    pub fn minter(&self) -> TokenMinter {
        TokenMinter::new(self.identity(ServiceName::Gateway))
    }

    /// The certificate and key of a service.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn identity(&self, service: ServiceName) -> ServiceIdentity {
        let folder = match service {
            ServiceName::SandboxBroker => "broker",
            ServiceName::EgressProxy => "egress",
            other => other.as_str(),
        };
        let keys = match &self.cluster {
            Some(cluster) => cluster.pki().join(service.as_str()),
            None => self.data().join(folder).join("keys"),
        };
        ServiceIdentity::load(&keys, SystemClock.now()).expect("the service's identity")
    }

    /// Ends the audit process without a word to anybody; the system goes on without it.
    pub async fn kill_audit(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.kill((ServiceName::Audit, 0)).await;
        }
        if let Some(node) = self.audit.as_mut().and_then(|audit| audit.alive.take()) {
            node.kill().await;
        }
    }

    /// The process id of an audit process that lives.
    #[must_use]
    pub fn audit_id(&self) -> Option<u32> {
        self.audit.as_ref()?.alive.as_ref()?.id()
    }

    /// Waits until the audit process has died.
    pub async fn audit_died(&mut self) {
        if let Some(mut node) = self.audit.as_mut().and_then(|audit| audit.alive.take()) {
            // A process that cannot be waited for is gone.
            let _ = node.died().await;
        }
    }

    /// Starts the audit process again, where it was.
    pub async fn revive_audit(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.revive((ServiceName::Audit, 0)).await;
        }
        let (keys, log) = (self.data().join("audit/keys"), self.log_dir());
        if let Some(audit) = &mut self.audit {
            audit.alive = Some(Node::audit(&audit.program, &keys, &log, audit.place).await);
        }
    }

    /// Ends the system in order. The directory stays until the result is dropped.
    pub async fn stop(mut self) -> Stopped {
        let log = self.log_dir();
        if let Some(cluster) = self.cluster.take() {
            cluster.stop().await;
        }
        if let Some(embedded) = self.embedded.take() {
            embedded.shutdown().await;
        }
        if let Some(node) = self.audit.take().and_then(|audit| audit.alive) {
            node.stop().await;
        }
        if let Some(account) = &self.account {
            let dir = self.dir.path().to_string_lossy();
            account.close(&Log::verified(&log).await, &dir);
        }
        Stopped { log, dir: self.dir }
    }
}

/// What a system leaves behind.
pub struct Stopped {
    log: PathBuf,
    dir: tempfile::TempDir,
}

impl Stopped {
    /// The log, verified: undamaged, with every number that a writer gave, and every act in its order.
    pub async fn log(&self) -> Log {
        let log = Log::verified(&self.log).await;
        log.assert_complete();
        log
    }

    /// The log, verified, after a test kept writers from it or killed them: what reached it is in order.
    pub async fn log_after_a_fault(&self) -> Log {
        Log::verified(&self.log).await
    }

    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Everything that any process of the system wrote lies under it.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.dir.path()
    }
}

/// The defaults, with leases short enough for a test to see one expire.
#[must_use]
pub fn quick() -> Config {
    let mut config = Config::default();
    config.memory.lease = Duration::from_secs(1).into();
    config.runtime.claim_every = Duration::from_millis(250).into();
    config
}

#[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
fn make_certificates(data: &Path) {
    let dir = DataDir::open(data).expect("the data directory");
    Pki::open(&dir, &SystemClock).expect("the certificates");
}
