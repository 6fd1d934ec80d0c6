//! The real program, once for each service, on a loopback address that nothing else has, with mutual TLS and SQLite.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harombe::attach::Client;
use harombe::compose::{Config, init};
use harombe_e2e::{Place, SERVICES};
use harombe_proto::agent::v1::KeyLimits;
use harombe_testkit::loopback;
use harombe_types::{ServiceName, SystemClock};
use http::Uri;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::what::Result;

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
    place: Place,
    instances: Vec<Instance>,
    /// In whose name the key calls.
    pub(crate) subject: String,
}

impl Cluster {
    /// Starts them one after the other, so that each is timed for itself, and makes a key without limits.
    pub(crate) async fn start(program: &Path, dir: &Path, mut config: Config) -> Result<Self> {
        let pki = dir.join("pki");
        init(&pki, "load.harombe", &SystemClock)?;
        let place = Place::at(loopback());
        place.configure(&mut config, &pki, 0, 1);
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
        let (data, key) = ([cluster.data()], cluster.key());
        cluster.subject = place.make_key(&data, UNLIMITED, &key).await?;
        Ok(cluster)
    }

    fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// A client of the public door, with a connection of its own.
    pub(crate) fn client(&self) -> Result<Client> {
        self.place.client(0, &self.key())
    }

    /// Where a service is reached over mutual TLS.
    pub(crate) fn uri(&self, service: ServiceName) -> Result<Uri> {
        Ok(self.place.uri(service)?)
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
