//! A running system with a port for strangers, and programs that call it from outside.

mod apart;

use std::path::{Path, PathBuf};
use std::time::Duration;

use harombe::compose::{Assembly, Config, Embedded, ModelSource};
use harombe_proto::agent::v1::CreateKeyRequest;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_rpc::GrpcChannel;
use tokio::process::Command;

use apart::Apart;

/// What the model says: with "program" in the message it runs one, else it greets.
const SCRIPT: &str = r#"
repeat = true

[[turn]]
when_user_contains = "program"
text = "I will run a program."
[[turn.calls]]
tool = "code_execute"
arguments = { language = "python", code = "print(6 * 7)" }

[[turn]]
when_user_contains = "program"
text = "It said: {{result}}"

[[turn]]
text = "Good day."
"#;

/// So often that a client meets comments wherever it waits.
const KEEP_ALIVE: Duration = Duration::from_millis(100);

/// The system.
pub struct System {
    dir: tempfile::TempDir,
    services: Services,
    /// Of an admin of the operator's tenant.
    admin: GrpcChannel,
    /// Of somebody who uses agents and reads the log.
    pub key: String,
    /// Of somebody else, who decides.
    pub approver: String,
}

enum Services {
    Embedded(Embedded),
    Apart(Apart),
}

/// What a program did.
#[derive(Debug)]
pub struct Done {
    pub good: bool,
    pub out: String,
    pub err: String,
}

impl System {
    /// Starts all services in this process, with a port on loopback.
    ///
    /// # Panics
    /// When it does not start: a test cannot go on.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub async fn start() -> Self {
        let (dir, model) = home();
        let mut config = Config::default();
        config.gateway.public.listen = Some(([127, 0, 0, 1], 0).into());
        config.gateway.public.keep_alive = KEEP_ALIVE.into();
        let assembly = Assembly::new(&dir.path().join("data"), config, Some(model));
        let embedded = assembly.start().await.expect("the system starts");
        let admin = GrpcChannel::unix(&embedded.socket()).expect("a channel");
        Self::with_keys(dir, Services::Embedded(embedded), admin).await
    }

    /// Starts each service in a process of its own; `program` is `harombe`.
    ///
    /// # Panics
    /// When one does not start: a test cannot go on.
    pub async fn start_apart(program: &str) -> Self {
        let (dir, model) = home();
        let apart = Apart::start(program, dir.path(), &model).await;
        let admin = apart.admin.clone();
        Self::with_keys(dir, Services::Apart(apart), admin).await
    }

    async fn with_keys(dir: tempfile::TempDir, services: Services, admin: GrpcChannel) -> Self {
        let mut system = Self {
            dir,
            services,
            admin,
            key: String::new(),
            approver: String::new(),
        };
        system.key = system.new_key(key_for("ann", &["user", "auditor"])).await;
        system.approver = system.new_key(key_for("bob", &["approver"])).await;
        system
    }

    /// A new key, made by an admin of the operator's tenant.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub async fn new_key(&self, request: CreateKeyRequest) -> String {
        let mut keys = KeyServiceClient::new(self.admin.clone());
        let created = keys.create_key(request).await;
        created.expect("a key").into_inner().api_key
    }

    /// Where strangers reach it.
    ///
    /// # Panics
    /// Never: it was told to listen.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn url(&self) -> &str {
        match &self.services {
            Services::Embedded(embedded) => embedded.public().expect("a public address"),
            Services::Apart(apart) => &apart.url,
        }
    }

    /// Runs a program to its end, in a folder of its own, with the address and the keys in its environment.
    ///
    /// # Panics
    /// When it cannot be started.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Done {
        let folder = tempfile::tempdir_in(self.dir.path()).expect("a folder");
        let url: http::Uri = self.url().parse().expect("an address");
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder.path())
            .env("HAROMBE", self.url())
            .env("KEY", &self.key)
            .env("APPROVER_KEY", &self.approver)
            .env("PROTO", root().join("proto"))
            .env("PYTHONPATH", tools())
            .env("no_proxy", url.host().unwrap_or_default())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the program starts; `make setup-test` installs what is missing");
        Done {
            good: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Ends it in order.
    pub async fn stop(self) {
        match self.services {
            Services::Embedded(embedded) => embedded.shutdown().await,
            Services::Apart(apart) => apart.stop().await,
        }
        drop(self.dir);
    }
}

/// A directory, and the model's script in it.
#[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
fn home() -> (tempfile::TempDir, ModelSource) {
    let dir = tempfile::Builder::new()
        .prefix("harombe-clients-")
        .tempdir()
        .expect("a temporary directory");
    let script = dir.path().join("model.toml");
    std::fs::write(&script, SCRIPT).expect("the script");
    (dir, ModelSource::Scripted(script))
}

/// What asks for a key for somebody in the operator's tenant.
#[must_use]
pub fn key_for(subject: &str, roles: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest {
        name: subject.to_owned(),
        subject: subject.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..CreateKeyRequest::default()
    }
}

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where `deploy/setup/test.sh` puts the clients.
fn tools() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).unwrap_or_else(|| PathBuf::from("/tmp"));
    cache.join("harombe/tools/clients")
}
