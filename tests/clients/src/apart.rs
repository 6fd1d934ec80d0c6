//! Every service in a process of its own, on a loopback address that no other test has at the same time.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use harombe::compose::{Config, ListenAddresses, ModelSource, PeerAddresses, init};
use harombe_proto::agent::v1::ListKeysRequest;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_rpc::{GrpcChannel, Public};
use harombe_types::{ServiceName, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::KEEP_ALIVE;

/// How often the first key is tried, and how long between two tries.
const TRIES: u32 = 2400;
const PAUSE: Duration = Duration::from_millis(50);

/// Each calls only those after it.
const SERVICES: [ServiceName; 7] = [
    ServiceName::Gateway,
    ServiceName::Runtime,
    ServiceName::Memory,
    ServiceName::SandboxBroker,
    ServiceName::EgressProxy,
    ServiceName::Hitl,
    ServiceName::Audit,
];

/// Systems of this process so far.
static PLACES: AtomicU8 = AtomicU8::new(0);

/// The processes.
pub(crate) struct Apart {
    services: Vec<Child>,
    pub(crate) url: String,
    pub(crate) admin: GrpcChannel,
}

impl Apart {
    /// Starts them with `program`, which is `harombe`, all at once: none waits for another.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub(crate) async fn start(program: &str, dir: &Path, model: &ModelSource) -> Self {
        let place = place();
        let file = dir.join("harombe.toml");
        let config = config(place, dir, model).to_toml().expect("a configuration");
        std::fs::write(&file, config).expect("the configuration file");
        let mut services = Vec::new();
        for service in SERVICES {
            services.push(spawn(program, service, dir, &file));
        }
        for service in &mut services {
            ready(service, dir).await;
        }
        let url = format!("http://{}", at(place, ServiceName::Gateway));
        let admin = admitted(&url, &dir.join("data/admin.key")).await;
        Self { services, url, admin }
    }

    /// Lets all end in order: callers before those they call.
    pub(crate) async fn stop(self) {
        for mut service in self.services {
            let process = service.id().and_then(|id| i32::try_from(id).ok());
            if let Some(process) = process.and_then(Pid::from_raw) {
                // One that has ended by itself needs no telling.
                let _ = kill_process(process, Signal::TERM);
            }
            // One that cannot be waited for is gone.
            let _ = service.wait().await;
        }
    }
}

/// An address of the loopback network (RFC 1122, 3.2.1.3), so that every service has the port of its own.
fn place() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let nth = PLACES.fetch_add(1, Ordering::Relaxed) % 64;
    Ipv4Addr::new(127, 128 + nth, high, low)
}

fn at(place: Ipv4Addr, service: ServiceName) -> SocketAddr {
    let port = match service {
        ServiceName::Runtime => 7401,
        ServiceName::Memory => 7402,
        ServiceName::SandboxBroker => 7403,
        ServiceName::EgressProxy => 7404,
        ServiceName::Hitl => 7405,
        ServiceName::Audit => 7406,
        ServiceName::Gateway | ServiceName::Client => 7400,
    };
    (place, port).into()
}

#[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
fn config(place: Ipv4Addr, dir: &Path, model: &ModelSource) -> Config {
    let pki = dir.join("pki");
    init(&pki, "clients.harombe", &SystemClock).expect("the certificates");
    let one = |service| at(place, service).to_string();
    let mut config = Config::default();
    config.network.pki = Some(pki);
    config.network.ops = place.to_string();
    config.network.listen = ListenAddresses {
        runtime: one(ServiceName::Runtime),
        memory: one(ServiceName::Memory),
        sandbox_broker: one(ServiceName::SandboxBroker),
        egress_proxy: one(ServiceName::EgressProxy),
        hitl: one(ServiceName::Hitl),
        audit: one(ServiceName::Audit),
    };
    let listen = &config.network.listen;
    config.network.peers = PeerAddresses {
        runtime: vec![listen.runtime.clone()],
        memory: vec![listen.memory.clone()],
        sandbox_broker: vec![listen.sandbox_broker.clone()],
        egress_proxy: vec![listen.egress_proxy.clone()],
        hitl: vec![listen.hitl.clone()],
        audit: vec![listen.audit.clone()],
    };
    config.gateway.public.listen = Some(at(place, ServiceName::Gateway));
    config.gateway.public.keep_alive = KEEP_ALIVE.into();
    let agent = config.runtime.agents.get_mut("default");
    agent.expect("the default agent").model = model.to_string();
    config
}

/// What it logs goes to a file.
#[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
fn spawn(program: &str, service: ServiceName, dir: &Path, config: &Path) -> Child {
    let mut command = Command::new(program);
    command
        .args(["serve", service.as_str(), "--config"])
        .arg(config)
        .arg("--data")
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(log_of(dir, service)).expect("a file for the log"))
        .kill_on_drop(true);
    command.spawn().expect("the program starts")
}

fn log_of(dir: &Path, service: ServiceName) -> PathBuf {
    dir.join(format!("{service}.log"))
}

/// Waits until it says that it is.
#[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
async fn ready(service: &mut Child, dir: &Path) {
    let out = service.stdout.as_mut().expect("it was piped");
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).await.expect("a line");
    if !line.contains("is ready on") {
        let logs = SERVICES.map(|service| std::fs::read_to_string(log_of(dir, service)));
        let logs: String = logs.into_iter().filter_map(Result::ok).collect();
        service.kill().await.expect("it can be killed");
        assert!(line.contains("is ready on"), "it said {line:?}\n{logs}");
    }
}

/// A channel with the first key, which the gateway writes down and puts in force once it is recorded.
#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test's world: without it there is no test"
)]
async fn admitted(url: &str, file: &Path) -> GrpcChannel {
    for _ in 0..TRIES {
        if let Ok(key) = std::fs::read_to_string(file) {
            let door = Public {
                uri: url.parse().expect("an address"),
                ca: None,
                key: Some(key.trim().to_owned()),
            };
            let channel = GrpcChannel::public(&door).expect("a channel");
            let mut keys = KeyServiceClient::new(channel.clone());
            if keys.list_keys(ListKeysRequest::default()).await.is_ok() {
                return channel;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("the first key opens nothing")
}
