//! A Postgres server of the test's own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harombe_sql::PostgresConfig;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::loopback;

const PORT: u16 = 5432;

/// For a server to come up or go down on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);

/// A running or stopped server, killed and erased with this value.
#[derive(Debug)]
pub struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
    address: Ipv4Addr,
    /// Who the server runs as, if not as us: it refuses to be root.
    user: Option<(u32, u32)>,
    process: Option<Child>,
}

#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose server fails is a test that fails"
)]
impl Server {
    /// Makes and starts one. It listens on a loopback address of its own and does what is acknowledged durably.
    ///
    /// # Panics
    /// When there is no Postgres here; the message says how to get it.
    pub async fn create() -> Self {
        Self::create_with(|_, _| String::new()).await
    }

    /// As [`Server::create`], with further lines of configuration, which may name files that `prepare` puts into the
    /// directory that it is given; it is told the server's address too.
    ///
    /// # Panics
    /// As [`Server::create`].
    pub async fn create_with(prepare: impl FnOnce(&Path, Ipv4Addr) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let user = other_user(dir.path());
        let own = |path: &Path| {
            if let Some((user, group)) = user {
                chown(path, Some(user), Some(group)).unwrap();
            }
        };
        own(dir.path());
        let mut server = Self {
            bin: bin(),
            address: loopback(),
            user,
            process: None,
            dir,
        };
        let data = server.data();
        let made = server
            .command("initdb")
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-N",
                "-D",
            ])
            .arg(&data)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let further = prepare(&data, server.address);
        for entry in fs::read_dir(&data).unwrap() {
            own(&entry.unwrap().path());
        }
        let settings = format!(
            "listen_addresses = '{}'\nport = {PORT}\nunix_socket_directories = ''\nmax_connections = 100\n\
             shared_buffers = 16MB\nfsync = on\n{further}\n",
            server.address
        );
        let path = data.join("postgresql.conf");
        let conf = fs::read_to_string(&path).unwrap();
        fs::write(&path, conf + &settings).unwrap();
        server.start().await;
        server
    }

    /// How a service reaches its database `postgres`.
    #[must_use]
    pub fn config(&self) -> PostgresConfig {
        PostgresConfig {
            url: format!("postgres://postgres@{}/postgres", self.socket()),
            ..PostgresConfig::default()
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::from((self.address, PORT))
    }

    /// Starts it, and returns when it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(&mut self) {
        let started = Instant::now();
        let options: sqlx::postgres::PgConnectOptions = self.config().url.parse().unwrap();
        while started.elapsed() < PATIENCE {
            // one that was killed may have left processes that must be gone before the next can start: try again
            let ended = match &mut self.process {
                Some(process) => process.try_wait().unwrap().is_some(),
                None => true,
            };
            if ended {
                self.process = Some(self.spawn());
            }
            if let Ok(connection) = options.connect().await {
                let _ = connection.close().await;
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        panic!("Postgres does not start: {log}");
    }

    /// Stops it as an operator does who does not wait for its clients; returns when it is gone.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = process.id().to_string();
            Command::new("kill").args(["-INT", &pid]).status().unwrap();
            let started = Instant::now();
            while process.try_wait().unwrap().is_none() {
                assert!(started.elapsed() < PATIENCE, "Postgres does not stop");
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Kills it (`SIGKILL`): its sessions end at once, and it must recover when it is started again.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it and then kills it, and starts it again each time. Who works on it must make `progress` before, between and
    /// afterwards.
    pub async fn stop_and_kill_amid(&mut self, mut progress: impl AsyncFnMut()) {
        progress().await;
        self.stop().await;
        self.start().await;
        progress().await;
        self.kill();
        self.start().await;
        progress().await;
    }

    fn spawn(&self) -> Child {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        self.command("postgres")
            .arg("-D")
            .arg(self.data())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.dir.path()).env_remove("PGDATA");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Waits until there are so many more.
pub async fn advance(count: &AtomicUsize, by: usize) {
    let goal = count.load(Ordering::Relaxed) + by;
    while count.load(Ordering::Relaxed) < goal {
        tokio::time::sleep(LOOK).await;
    }
}

/// Where Debian keeps the newest, or where the path leads to.
#[expect(clippy::panic, reason = "a test without its server fails and says why")]
fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let version = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    };
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| version(path));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    newest
        .map(|path| path.join("bin"))
        .or_else(|| std::env::split_paths(&paths).find(|path| path.join("initdb").exists()))
        .unwrap_or_else(|| panic!("no Postgres here; run `make setup-test`"))
}

/// The user `postgres`, when we are root.
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test without its server fails and says why"
)]
fn other_user(ours: &Path) -> Option<(u32, u32)> {
    if fs::metadata(ours).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut fields = line.into_iter().flat_map(|line| line.split(':')).skip(1);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    match (number(), number()) {
        (Some(user), Some(group)) => Some((user, group)),
        _ => panic!("Postgres refuses to run as root, and there is no user postgres; run `make setup-test`"),
    }
}
