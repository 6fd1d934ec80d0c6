//! Where secrets are kept: section `[secrets]`.

use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

const MIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// With nothing set, secrets are in a sealed file in the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Vault, or whatever speaks its API.
    pub vault: Option<VaultConfig>,
}

/// A key-value store (version 2) in Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// `https://HOST[:PORT]`; `http` on this machine only.
    pub address: String,
    /// Where the store is mounted.
    pub mount: String,
    /// The folder in it that is ours: a secret lies at `PREFIX/NAME`, in the field `value`.
    pub prefix: String,
    /// How we log in.
    pub approle: AppRole,
    /// A PEM file with the only certificate authorities that may vouch for Vault; the system's otherwise.
    pub ca: Option<PathBuf>,
    /// Longest time for one secret, a login included.
    pub timeout: Span,
}

/// An AppRole login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct AppRole {
    /// Where the method is mounted.
    pub mount: String,
    /// The role that we log in as.
    pub role_id: String,
    /// A file with the secret id, closed to others. It is read at every login, so it may be replaced at any time.
    pub secret_id_file: PathBuf,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            mount: "secret".to_owned(),
            prefix: "harombe".to_owned(),
            approle: AppRole::default(),
            ca: None,
            timeout: Duration::from_secs(5).into(),
        }
    }
}

impl Default for AppRole {
    fn default() -> Self {
        Self {
            mount: "approle".to_owned(),
            role_id: String::new(),
            secret_id_file: PathBuf::new(),
        }
    }
}

impl Config {
    /// Everything that is wrong with the values, each naming its key and what to write instead.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        self.vault.as_ref().map(VaultConfig::validate).unwrap_or_default()
    }
}

impl VaultConfig {
    fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = check_address(&self.address) {
            faults.push(format!("secrets.vault.address {fault}"));
        }
        for (key, path) in [
            ("mount", &self.mount),
            ("prefix", &self.prefix),
            ("approle.mount", &self.approle.mount),
        ] {
            if !is_path(path) {
                faults.push(format!(
                    "secrets.vault.{key} must be plain segments with a slash between them, such as \"team/harombe\""
                ));
            }
        }
        let id = &self.approle.role_id;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            faults.push("secrets.vault.approle.role_id must be the id of the role".to_owned());
        }
        if self.approle.secret_id_file.as_os_str().is_empty() {
            faults.push("secrets.vault.approle.secret_id_file must name a file".to_owned());
        }
        if self.ca.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            faults.push(
                "secrets.vault.ca must name a PEM file, or be left out for the system's authorities"
                    .to_owned(),
            );
        }
        if !(MIN_TIMEOUT..=MAX_TIMEOUT).contains(&self.timeout.as_duration()) {
            faults.push("secrets.vault.timeout must be from \"100ms\" to \"60s\"".to_owned());
        }
        faults
    }
}

/// Secrets cross this connection: in plain text only within the machine.
fn check_address(text: &str) -> Result<(), &'static str> {
    let form = "must be https://HOST[:PORT]";
    let url = Url::parse(text).map_err(|_| form)?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(form);
    }
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err(form),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if here => Ok(()),
        "http" => Err("must begin with https: http is for this machine only"),
        _ => Err(form),
    }
}

fn is_path(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let segment =
        |segment: &str| !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(letter);
    text.len() <= 256 && text.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        match toml::from_str::<Config>(text) {
            Ok(config) => config.validate(),
            Err(error) => vec![error.to_string()],
        }
    }

    fn vault(line: &str) -> Vec<String> {
        let mut lines = vec![
            "address = \"https://vault.test:8200\"",
            "approle = { role_id = \"r\", secret_id_file = \"/run/id\" }",
        ];
        let key = line.split('=').next().unwrap_or_default();
        lines.retain(|kept| !kept.starts_with(key));
        lines.push(line);
        faults(&format!("[vault]\n{}", lines.join("\n")))
    }

    #[test]
    fn nothing_and_a_whole_vault_are_valid() {
        assert!(faults("").is_empty());
        assert_eq!(vault("mount = \"kv/team\""), Vec::<String>::new());
        assert_eq!(vault("address = \"http://127.0.0.1:8200\""), Vec::<String>::new());
        assert_eq!(vault("address = \"http://[::1]:8200\""), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(faults("[vault]").len(), 3, "address, role_id, secret_id_file");
        for (line, part) in [
            ("address = \"http://vault.test:8200\"", "https"),
            ("address = \"https://vault.test/path\"", "address"),
            ("address = \"https://u:p@vault.test\"", "address"),
            ("address = \"unix:/run/vault\"", "address"),
            ("mount = \"\"", "vault.mount"),
            ("prefix = \"../x\"", "vault.prefix"),
            ("prefix = \"/x\"", "vault.prefix"),
            (
                "approle = { role_id = \"r\", secret_id_file = \"/f\", mount = \"a b\" }",
                "approle.mount",
            ),
            ("ca = \"\"", "vault.ca"),
            ("timeout = \"0s\"", "vault.timeout"),
            ("token = \"s.x\"", "unknown field"),
        ] {
            let faults = vault(line);
            assert!(
                faults.len() == 1 && faults.iter().all(|fault| fault.contains(part)),
                "{line}: {faults:?}"
            );
        }
    }
}
