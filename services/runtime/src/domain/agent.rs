//! An agent: a named configuration, ready to run.

use std::sync::Arc;
use std::time::Duration;

use harombe_tokens::Counter;
use harombe_types::AgentName;

use super::model::Model;
use super::tools::Tool;

/// A configured agent with its model.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    /// Its name.
    pub name: AgentName,
    /// What it is for, in a sentence.
    pub description: String,
    /// The system prompt.
    pub prompt: String,
    /// What the model is called in the configuration.
    pub model_name: String,
    /// The model.
    pub model: Arc<dyn Model>,
    /// Counts tokens as that model does.
    pub counter: Counter,
    /// What the model may call.
    pub tools: Vec<Arc<Tool>>,
    /// Where it must stop.
    pub limits: Limits,
    /// Whether its model sums up its long sessions.
    pub sums_up: bool,
}

/// Where a run must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Responses of the model.
    pub steps: u32,
    /// Tokens read and written, all responses together.
    pub tokens: u64,
    /// From the first event.
    pub wall: Duration,
    /// Tokens of prompt, tools, past and message at the start of a run.
    pub context: u32,
    /// Memories of earlier conversations at the start of a run.
    pub recall: u32,
    /// Bytes of a tool's answer that the model is told.
    pub result: usize,
}
