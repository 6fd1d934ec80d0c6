//! The agents of a configuration, each with its model and its tools.

use std::collections::BTreeMap;
use std::sync::Arc;

use harombe_tokens::{Choice, Counter, Vocabularies};
use harombe_types::AgentName;

use crate::config::{AgentConfig, Config, ModelConfig, ModelSpec};
use crate::domain::agent::{Agent, Limits};
use crate::domain::model::Model;
use crate::domain::tools::Registry;
use crate::models;
use crate::models::scripted::Scripted;
use crate::peers::Egress;
use crate::service::BuildError;

/// Every agent that the configuration names.
///
/// # Errors
/// A name or a script cannot be used.
pub(crate) fn build(
    config: &Config,
    tools: &Registry,
    egress: &Egress,
) -> Result<BTreeMap<AgentName, Arc<Agent>>, BuildError> {
    let vocabularies = Vocabularies::default();
    let agent = |(name, agent): (&String, &AgentConfig)| {
        let model = model(name, agent, config, egress)?;
        let counter = counter(name, agent, config, &vocabularies)?;
        let name: AgentName = name.parse()?;
        let built = build_agent(
            name.clone(),
            agent,
            (agent.model_name(&config.models), model, counter),
            tools,
        );
        Ok((name, Arc::new(built)))
    };
    config.agents.iter().map(agent).collect()
}

fn model(
    name: &str,
    agent: &AgentConfig,
    config: &Config,
    egress: &Egress,
) -> Result<Arc<dyn Model>, BuildError> {
    let script = match agent.model() {
        Some(ModelSpec::Named(model)) => {
            if let Some(model) = config.models.get(&model) {
                return Ok(models::configured(model, egress.clone()));
            }
            Scripted::built_in()
        }
        Some(ModelSpec::Script(path)) => Scripted::open(&path),
        Some(ModelSpec::BuiltIn) | None => Scripted::built_in(),
    };
    let script = script.map_err(|source| BuildError::Model {
        agent: name.to_owned(),
        source,
    })?;
    Ok(Arc::new(script))
}

/// Counts as the agent's model does; a script is no model, and estimated.
fn counter(
    name: &str,
    agent: &AgentConfig,
    config: &Config,
    vocabularies: &Vocabularies,
) -> Result<Counter, BuildError> {
    let choice = match agent.model() {
        Some(ModelSpec::Named(model)) => config.models.get(&model).map(ModelConfig::counted),
        Some(ModelSpec::Script(_) | ModelSpec::BuiltIn) | None => None,
    };
    vocabularies
        .counter(&choice.unwrap_or(Choice::Estimate))
        .map_err(|source| BuildError::Tokenizer {
            agent: name.to_owned(),
            source,
        })
}

fn build_agent(
    name: AgentName,
    config: &AgentConfig,
    (model_name, model, counter): (String, Arc<dyn Model>, Counter),
    tools: &Registry,
) -> Agent {
    Agent {
        name,
        description: config.description.clone(),
        prompt: config.prompt.clone(),
        model_name,
        model,
        counter,
        tools: config
            .tools
            .iter()
            .filter_map(|tool| tools.get(tool).cloned())
            .collect(),
        limits: Limits {
            steps: config.max_steps,
            tokens: config.max_tokens,
            wall: config.max_wall.as_duration(),
            context: config.context_tokens,
            recall: config.recall,
            result: usize::try_from(config.max_result.as_bytes()).unwrap_or(usize::MAX),
        },
        sums_up: config.sums_up(),
    }
}
