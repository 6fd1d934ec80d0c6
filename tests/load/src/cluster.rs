//! The real program, once for each service, on a loopback address that nothing else has, with mutual TLS and SQLite.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harombe::attach::{Client, Elsewhere};
use harombe::compose::{Config, ListenAddresses, PeerAddresses, init};
use harombe_proto::agent::v1::{CreateKeyRequest, KeyLimits, ListKeysRequest};
use harombe_types::{Role, ServiceName, SystemClock};
use http::Uri;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::what::Result;

/// Each calls only those before it.
const SERVICES: [ServiceName; 7] = [
    ServiceName::Audit,
    ServiceName::Hitl,
    ServiceName::EgressProxy,
    ServiceName::SandboxBroker,
    ServiceName::Memory,
    ServiceName::Runtime,
    ServiceName::Gateway,
];

/// How long a first key may take to come into force, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// As much as a key may be given; the quota of a day stays the gateway's default, which is none.
const UNLIMITED: KeyLimits = KeyLimits {
    requests_per_second: 1_000_000,
    burst: 1_000_000,
    streams: 1_000_000,
    messages_per_day: 0,
};

/// One service.
pub(crate) struct Instance {
    pub(crate) service: ServiceName,
    child: Child,
    /// From its start to the line that says that it is ready.
    pub(crate) ready_after: Duration,
}

/// All services.
pub(crate) struct Cluster {
    dir: PathBuf,
    place: Ipv4Addr,
    instances: Vec<Instance>,
    /// In whose name the key calls.
    pub(crate) subject: String,
}

impl Cluster {
    /// Starts them one after the other, so that each is timed for itself, and makes a key without limits.
    pub(crate) async fn start(program: &Path, dir: &Path, mut config: Config) -> Result<Self> {
        let pki = dir.join("pki");
        init(&pki, "load.harombe", &SystemClock)?;
        let place = place();
        config.network.pki = Some(pki);
        config.network.ops = place.to_string();
        config.network.listen = listen(place);
        config.network.peers = peers(place);
        config.gateway.public.listen = Some(SocketAddr::from((place, port(ServiceName::Gateway))));
        std::fs::write(dir.join("harombe.toml"), config.to_toml()?)?;
        let mut cluster = Self {
            dir: dir.to_owned(),
            place,
            instances: Vec::new(),
            subject: String::new(),
        };
        for service in SERVICES {
            cluster.instances.push(serve(program, dir, service).await?);
        }
        cluster.make_key().await?;
        Ok(cluster)
    }

    /// The first key makes the one that the measurement uses. Its file is there a moment before it is in force.
    async fn make_key(&mut self) -> Result<()> {
        let first = self.dir.join("data/admin.key");
        let began = Instant::now();
        loop {
            if let Ok(client) = self.client_with(&first) {
                let mut keys = client.keys;
                let listed = keys.list_keys(ListKeysRequest::default()).await;
                if let Some(admin) = listed.ok().and_then(|listed| listed.into_inner().keys.pop()) {
                    let request = CreateKeyRequest {
                        name: "load".to_owned(),
                        subject: admin.subject.clone(),
                        roles: Role::ALL.iter().map(ToString::to_string).collect(),
                        allow_self: true,
                        limits: Some(UNLIMITED),
                        ..CreateKeyRequest::default()
                    };
                    let made = keys.create_key(request).await?.into_inner();
                    std::fs::write(self.key(), made.api_key)?;
                    std::fs::set_permissions(self.key(), Permissions::from_mode(0o600))?;
                    self.subject = admin.subject;
                    return Ok(());
                }
            }
            if began.elapsed() > PATIENCE {
                return Err("the gateway admits no first key".into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// A client of the public door, with a connection of its own.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_with(&self.key())
    }

    fn client_with(&self, key: &Path) -> Result<Client> {
        let url = format!("http://{}", address(self.place, ServiceName::Gateway));
        Ok(Client::elsewhere(&Elsewhere {
            url: url.parse()?,
            key_file: Some(key.to_owned()),
            ca: None,
        })?)
    }

    /// Where a service is reached over mutual TLS.
    pub(crate) fn uri(&self, service: ServiceName) -> Result<Uri> {
        Ok(format!("https://{}", address(self.place, service)).parse()?)
    }

    /// The certificate and key of a service.
    pub(crate) fn identity(&self, service: ServiceName) -> PathBuf {
        self.dir.join("pki").join(service.as_str())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Ends all in order: callers before those they call.
    pub(crate) async fn stop(mut self) {
        while let Some(mut instance) = self.instances.pop() {
            let told = instance.process().map(|id| kill_process(id, Signal::TERM));
            if matches!(told, Some(Ok(()))) {
                // One that cannot be waited for is gone; whatever is left dies with its handle.
                let _ = instance.child.wait().await;
            }
        }
    }
}

impl Instance {
    fn process(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }

    /// What the kernel says of it in that file of its own.
    pub(crate) fn proc(&self, file: &str) -> Result<String> {
        let id = self.child.id().ok_or("a service ended by itself")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }
}

async fn serve(program: &Path, dir: &Path, service: ServiceName) -> Result<Instance> {
    let log = dir.join(format!("{service}.log"));
    let began = Instant::now();
    let mut child = Command::new(program)
        .arg("--data")
        .arg(dir.join("data"))
        .arg("--config")
        .arg(dir.join("harombe.toml"))
        .args(["serve", service.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log)?)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let stdout = child.stdout.take().ok_or("the service has no output")?;
    let ready = BufReader::new(stdout).lines().next_line().await?;
    let ready_after = began.elapsed();
    if ready.is_none() {
        let said = std::fs::read_to_string(&log)?;
        return Err(format!("{service} does not start: {said}").into());
    }
    Ok(Instance {
        service,
        child,
        ready_after,
    })
}

/// An address of the loopback network (RFC 1122, 3.2.1.3) that no other measurement has at the same time.
fn place() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 200, high, low)
}

const fn port(service: ServiceName) -> u16 {
    match service {
        ServiceName::Gateway | ServiceName::Client => 7400,
        ServiceName::Runtime => 7401,
        ServiceName::Memory => 7402,
        ServiceName::SandboxBroker => 7403,
        ServiceName::EgressProxy => 7404,
        ServiceName::Hitl => 7405,
        ServiceName::Audit => 7406,
    }
}

fn address(place: Ipv4Addr, service: ServiceName) -> String {
    format!("{place}:{}", port(service))
}

fn listen(place: Ipv4Addr) -> ListenAddresses {
    let at = |service| address(place, service);
    ListenAddresses {
        runtime: at(ServiceName::Runtime),
        memory: at(ServiceName::Memory),
        sandbox_broker: at(ServiceName::SandboxBroker),
        egress_proxy: at(ServiceName::EgressProxy),
        hitl: at(ServiceName::Hitl),
        audit: at(ServiceName::Audit),
    }
}

fn peers(place: Ipv4Addr) -> PeerAddresses {
    let at = |service| vec![address(place, service)];
    PeerAddresses {
        runtime: at(ServiceName::Runtime),
        memory: at(ServiceName::Memory),
        sandbox_broker: at(ServiceName::SandboxBroker),
        egress_proxy: at(ServiceName::EgressProxy),
        hitl: at(ServiceName::Hitl),
        audit: at(ServiceName::Audit),
    }
}
