//! The agents of a configuration, each with its model and its tools.

use std::collections::BTreeMap;
use std::sync::Arc;

use harombe_tokens::{Choice, Counter, Vocabularies};
use harombe_types::AgentName;

use crate::config::{AgentConfig, Config, ModelConfig, ModelSpec};
use crate::domain::agent::{Agent, Limits};
use crate::domain::context;
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
        check(&built, &vocabularies)?;
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

/// An agent whose context is full before anybody has said anything can take no message.
fn check(agent: &Agent, vocabularies: &Vocabularies) -> Result<(), BuildError> {
    let fits = |needed| needed < u64::from(agent.limits.context);
    let counted = |counter: &Counter| context::counted(counter, agent, &agent.prompt, "");
    // a vocabulary is only read where an estimate, which is never much too low, does not answer it
    let estimate = vocabularies.counter(&Choice::Estimate);
    if estimate.is_ok_and(|estimate| fits(counted(&estimate))) {
        return Ok(());
    }
    let needed = counted(&agent.counter);
    if fits(needed) {
        return Ok(());
    }
    Err(BuildError::Context {
        agent: agent.name.to_string(),
        needed,
        context: agent.limits.context,
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

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    /// An agent without tools, whose model's tokens are counted as those of `counted_as`.
    pub(crate) fn agent(prompt: &str, counted_as: &str, context: u32) -> Agent {
        Agent {
            name: "default".parse().unwrap(),
            description: String::new(),
            prompt: prompt.to_owned(),
            model_name: "scripted".to_owned(),
            model: Arc::new(Scripted::built_in().unwrap()),
            counter: Vocabularies::default()
                .counter(&harombe_tokens::openai(counted_as))
                .unwrap(),
            tools: Vec::new(),
            limits: Limits {
                steps: 1,
                tokens: 1,
                wall: Duration::MAX,
                context,
                recall: 8,
                result: 1024,
            },
            sums_up: false,
        }
    }

    #[test]
    fn an_agent_must_have_room_for_a_message() {
        let vocabularies = Vocabularies::default();
        let built = |prompt: &str, context| agent(prompt, "gpt-4o", context);
        let long = "Be careful. ".repeat(100);
        check(&built("Be careful.", 100), &vocabularies).unwrap();
        check(&built(&long, 4000), &vocabularies).unwrap();
        let refused = check(&built(&long, 100), &vocabularies).unwrap_err().to_string();
        assert!(
            refused.contains("of the agent default") && refused.contains("of its 100"),
            "{refused}"
        );
    }
}
