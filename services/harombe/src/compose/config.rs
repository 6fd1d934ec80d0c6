//! The whole configuration: one section a service.

use std::path::Path;

use harombe_config::Configuration;
use serde::{Deserialize, Serialize};

use super::{ModelSource, StartError};

/// Every section has its defaults: with no file at all, everything runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    pub gateway: harombe_gateway::Config,
    pub runtime: harombe_runtime::Config,
    pub memory: harombe_memory::Config,
    pub sandbox_broker: harombe_sandbox_broker::Config,
    pub egress_proxy: harombe_egress_proxy::Config,
    pub hitl: harombe_hitl::Config,
    pub audit: harombe_audit::Config,
}

impl Configuration for Config {
    fn validate(&self) -> Vec<String> {
        [
            self.gateway.validate(),
            self.runtime.validate(),
            self.memory.validate(),
            self.sandbox_broker.validate(),
            self.egress_proxy.validate(),
            self.hitl.validate(),
            self.audit.validate(),
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

    /// With that model behind the default agent.
    pub(super) fn with_model(mut self, model: Option<&ModelSource>) -> Self {
        if let (Some(model), Some(agent)) = (model, self.runtime.agents.get_mut("default")) {
            agent.model = model.to_string();
        }
        self
    }
}
