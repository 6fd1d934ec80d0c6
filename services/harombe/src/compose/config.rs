//! The whole configuration: one section a service.

use std::path::Path;

use harombe_config::{Configuration, JsonSchema};
use harombe_telemetry::{InvalidFormat, Options};
use serde::{Deserialize, Serialize};

use super::{ModelSource, Network, StartError};

/// What a process says on standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `human` or `json`; without it `json` for `harombe serve`, `human` for the other commands.
    pub format: Option<String>,
    /// Which lines are kept: a level, or TARGET=LEVEL parts with commas. Without it `info` for `harombe serve`, `warn` for the
    /// other commands.
    pub filter: Option<String>,
}

impl Log {
    /// What it comes to, where `otherwise` says what is not set here.
    ///
    /// # Errors
    /// The format is none.
    pub fn options(&self, otherwise: Options) -> Result<Options, InvalidFormat> {
        let format = self.format.as_deref().map(str::parse).transpose()?;
        Ok(Options {
            format: format.unwrap_or(otherwise.format),
            filter: self.filter.clone().unwrap_or(otherwise.filter),
        })
    }

    fn validate(&self) -> Vec<String> {
        let format = self.options(Options::default());
        format
            .err()
            .map(|error| format!("log.format: {error}"))
            .into_iter()
            .collect()
    }
}

/// Every section has its defaults: with no file at all, everything runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// What a process says on standard error.
    pub log: Log,
    /// Where services listen and find each other, when each is a process of its own.
    pub network: Network,
    /// The public door.
    pub gateway: harombe_gateway::Config,
    /// Agents and their models.
    pub runtime: harombe_runtime::Config,
    /// Conversations and journals.
    pub memory: harombe_memory::Config,
    /// Where code runs.
    pub sandbox_broker: harombe_sandbox_broker::Config,
    /// What may leave, and where to.
    pub egress_proxy: harombe_egress_proxy::Config,
    /// Risks and permissions.
    pub hitl: harombe_hitl::Config,
    /// The log.
    pub audit: harombe_audit::Config,
    /// Where credentials for the world outside are kept.
    pub secrets: harombe_secrets::Config,
}

impl Configuration for Config {
    fn validate(&self) -> Vec<String> {
        [
            self.log.validate(),
            self.network.validate(),
            self.gateway.validate(),
            self.runtime.validate(),
            self.memory.validate(),
            self.sandbox_broker.validate(),
            self.egress_proxy.validate(),
            self.hitl.validate(),
            self.audit.validate(),
            self.secrets.validate(),
        ]
        .concat()
    }
}

impl Config {
    /// The file and the environment over the defaults.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(file: Option<&Path>) -> Result<Self, StartError> {
        // A variable that is not UTF-8 is none of ours: our names and values are.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        harombe_config::load(file, environment).map_err(StartError::Config)
    }

    /// As a file that reads back as the same.
    ///
    /// # Errors
    /// A path in it is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// With what one section takes from another. One list says which hosts are trusted: the egress policy's; the risk rules
    /// read it from there. A policy that cannot be read trusts nobody, and egress-proxy says what is wrong with it.
    pub(super) fn joined(mut self) -> Self {
        if let Ok(policy) = harombe_egress_proxy::load_policy(self.egress_proxy.policy.as_deref()) {
            self.hitl.trusted_hosts.extend(policy.trusted_hosts());
        }
        self
    }

    /// With that model behind the default agent.
    pub(super) fn with_model(mut self, model: Option<&ModelSource>) -> Self {
        if let Some(model) = model {
            model.put_into(&mut self);
        }
        self
    }
}
