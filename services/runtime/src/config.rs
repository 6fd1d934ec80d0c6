//! What an operator can set: the agents, their models, and how much one node takes on.

mod model;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use harombe_types::AgentName;
use serde::{Deserialize, Serialize};

use crate::domain::tools::Registry;
use model::is_name;
pub use model::{ModelConfig, OutputLimit, Provider, Temperature, Tokenizer};

/// Most memories that memory answers with at once.
const MAX_RECALL: u32 = 100;

const PROMPT: &str = include_str!("config/default_prompt.txt");

/// The section `runtime`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Agents by name; `default` is the one of sessions that name none.
    pub agents: BTreeMap<String, AgentConfig>,
    /// Models of providers by name, for agents to name.
    pub models: BTreeMap<String, ModelConfig>,
    /// Runs that this node drives at the same time, without those that only wait for a person.
    pub max_runs: u32,
    /// Runs that wait here for a person; a run beyond that number counts as one that is driven.
    pub max_waiting: u32,
    /// How often this node looks for runs whose node is gone.
    pub claim_every: Span,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// What it is for, in a sentence.
    pub description: String,
    /// The system prompt.
    pub prompt: String,
    /// One of `runtime.models`, or `scripted:FILE`, or `scripted` for a script that only says that no model is configured.
    pub model: String,
    /// What it may call.
    pub tools: Vec<String>,
    /// Responses of the model in one run.
    pub max_steps: u32,
    /// Tokens read and written in one run.
    pub max_tokens: u64,
    /// From the message to the end of its run. Give less than `gateway.wall_limit`, at which its token ends.
    pub max_wall: Span,
    /// Tokens of prompt, tools, past and message.
    pub context_tokens: u32,
    /// Memories of earlier conversations that the model is shown with a message; 0 for none.
    pub recall: u32,
    /// What the model is told of one tool's answer.
    pub max_result: Size,
    /// Who sums up its long sessions for memory: "model", the agent's own, or "extractive", memory alone, from what was said.
    /// Without it a model of `runtime.models` does, and a script does not.
    pub summaries: Option<Summaries>,
}

/// Who sums up an agent's long sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(rename_all = "lowercase")]
pub enum Summaries {
    /// The agent's model, once a run has ended; memory's own summary stands until then.
    Model,
    /// Memory, from the sentences of the session.
    Extractive,
}

/// Which model an agent has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSpec {
    /// The built-in script.
    BuiltIn,
    /// A script of the operator's.
    Script(PathBuf),
    /// One of the configured models.
    Named(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            agents: BTreeMap::from([("default".to_owned(), AgentConfig::default())]),
            models: BTreeMap::new(),
            max_runs: 256,
            max_waiting: 10_000,
            claim_every: Span::from(Duration::from_millis(500)),
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            description: "Answers questions; runs code and works with files in an isolated workspace.".into(),
            prompt: PROMPT.into(),
            model: "scripted".into(),
            tools: Registry::names().map(str::to_owned).collect(),
            max_steps: 12,
            max_tokens: 200_000,
            // a little less than the gateway's wall limit, at which the run's token ends and nothing more can be written
            max_wall: Span::from(Duration::from_secs(14 * 60)),
            context_tokens: 32_000,
            recall: 8,
            max_result: Size::from(64 * 1024),
            summaries: None,
        }
    }
}

impl Config {
    /// Every fault, each with the key and what to write instead. Reads no file.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.agents.contains_key("default") {
            faults.push("runtime.agents has no agent \"default\"; add [runtime.agents.default]".into());
        }
        if self.max_runs == 0 {
            faults.push("runtime.max_runs is 0; it must be at least 1".into());
        }
        if self.claim_every.as_duration() < Duration::from_millis(100) {
            faults.push("runtime.claim_every is too short; it must be at least 100ms".into());
        }
        for (name, model) in &self.models {
            model.validate(name, &mut faults);
        }
        for (name, agent) in &self.agents {
            agent.validate(name, &self.models, &mut faults);
        }
        faults
    }
}

impl AgentConfig {
    /// Whether its model sums up its sessions.
    pub(crate) fn sums_up(&self) -> bool {
        match self.summaries {
            Some(summaries) => summaries == Summaries::Model,
            None => matches!(self.model(), Some(ModelSpec::Named(_))),
        }
    }

    /// The model, if the text names one.
    pub fn model(&self) -> Option<ModelSpec> {
        match self.model.split_once(':') {
            None if self.model == "scripted" => Some(ModelSpec::BuiltIn),
            Some(("scripted", file)) if !file.is_empty() => Some(ModelSpec::Script(file.into())),
            None if is_name(&self.model) => Some(ModelSpec::Named(self.model.clone())),
            _ => None,
        }
    }

    /// What clients and the audit log call the model: a script's file name without the operator's directories.
    pub(crate) fn model_name(&self, models: &BTreeMap<String, ModelConfig>) -> String {
        match self.model() {
            Some(ModelSpec::Script(path)) => {
                let file = path.file_name().unwrap_or(path.as_os_str());
                format!("scripted:{}", file.to_string_lossy())
            }
            Some(ModelSpec::Named(name)) => models.get(&name).map_or(name, ModelConfig::shown),
            Some(ModelSpec::BuiltIn) | None => self.model.clone(),
        }
    }

    fn validate(&self, name: &str, models: &BTreeMap<String, ModelConfig>, faults: &mut Vec<String>) {
        let mut fault = |key: &str, words: String| faults.push(format!("runtime.agents.{name}{key} {words}"));
        if let Err(error) = name.parse::<AgentName>() {
            fault("", format!("has a name that cannot be used: {error}"));
        }
        let known = match self.model() {
            Some(ModelSpec::Named(name)) => models.contains_key(&name),
            spec => spec.is_some(),
        };
        if !known {
            let words = "write the name of one of runtime.models, \"scripted:FILE\" or \"scripted\"";
            fault(".model", format!("is {:?}; {words}", self.model));
        }
        for tool in &self.tools {
            if !Registry::names().any(|known| known == tool) {
                let names: Vec<_> = Registry::names().collect();
                fault(
                    ".tools",
                    format!("names {tool:?}; the tools are {}", names.join(", ")),
                );
            }
        }
        if self.max_steps == 0 || self.max_tokens == 0 || self.context_tokens == 0 {
            fault(
                "",
                "has a limit of 0 in max_steps, max_tokens or context_tokens; give at least 1".into(),
            );
        }
        if self.max_wall.as_duration() < Duration::from_secs(1) {
            fault(".max_wall", "is too short; give at least 1s".into());
        }
        if self.recall > MAX_RECALL {
            fault(
                ".recall",
                format!("must be at most {MAX_RECALL}; 0 recalls nothing"),
            );
        }
        if !(1024..=256 << 10).contains(&self.max_result.as_bytes()) {
            fault(".max_result", "must be from 1KiB to 256KiB".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_faults() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_keys() {
        let agent = AgentConfig {
            model: "gpt".into(),
            tools: vec!["rm_rf".into()],
            max_steps: 0,
            recall: 101,
            ..AgentConfig::default()
        };
        let config = Config {
            agents: BTreeMap::from([("a b".to_owned(), agent)]),
            max_runs: 0,
            ..Config::default()
        };
        let faults = config.validate().join("\n");
        for words in [
            "no agent \"default\"",
            "runtime.max_runs is 0",
            "runtime.agents.a b has a name",
            "runtime.agents.a b.model is \"gpt\"",
            "names \"rm_rf\"; the tools are code_execute",
            "max_steps",
            "recall must be at most 100",
        ] {
            assert!(faults.contains(words), "{faults:?} lacks {words:?}");
        }
    }

    #[test]
    fn a_script_sums_up_only_if_it_is_told_to() {
        for (text, expected) in [
            ("model = 'm'", true),
            ("model = 'm'\nsummaries = 'extractive'", false),
            ("model = 'scripted:x.toml'", false),
            ("", false),
            ("summaries = 'model'", true),
        ] {
            let agent: AgentConfig = toml::from_str(text).unwrap();
            assert_eq!(agent.sums_up(), expected, "{text}");
        }
        assert!(toml::from_str::<AgentConfig>("summaries = 'often'").is_err());
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = toml::from_str::<Config>("max_run = 3").unwrap_err();
        assert!(error.to_string().contains("max_run"));
    }
}
