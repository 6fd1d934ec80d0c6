//! The port to a language model: what it is asked, what it answers, and nothing about who it is.

use std::fmt;

use harombe_error::Failure;
use harombe_tokens::Counter;
use harombe_types::CallId;
use serde::{Deserialize, Serialize};

use super::tools::Tool;

/// One thing that was said in the conversation, as a model sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The person's words.
    User(String),
    /// What memory says about earlier conversations, as data. It stands before the person's words.
    Recalled(String),
    /// The model's own words and the calls that it proposed with them.
    Assistant {
        /// May be empty.
        text: String,
        /// In the order in which they were proposed.
        calls: Vec<Call>,
    },
    /// What a tool answered.
    Tool {
        /// The call that is answered.
        call: CallId,
        /// The provider's id of that call.
        provider_id: String,
        /// What the model is told.
        text: String,
    },
}

/// A call that the model proposed, under our own id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Ours; the provider's ids are not unique enough to spend a grant on.
    pub id: CallId,
    /// The provider's.
    pub provider_id: String,
    /// As the model named it; may not exist.
    pub tool: String,
    /// As the model wrote them; may not even be JSON.
    pub arguments: String,
}

/// What a model is asked to go on from. It cannot be printed: it has a token.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The agent's system prompt.
    pub system: &'a str,
    /// What it may call.
    pub tools: &'a [std::sync::Arc<Tool>],
    /// Oldest first; the last one is the person's message or a tool's answer.
    pub messages: &'a [Message],
    /// The run's token, for the way to the model.
    pub token: &'a str,
    /// When the run must have ended.
    pub ends: tokio::time::Instant,
    /// Tokens that the run may still spend.
    pub tokens: u64,
    /// Tokens of the response, where that is to be shorter than the model's may be.
    pub most: Option<u32>,
}

impl Request<'_> {
    /// Estimated tokens of all of it.
    pub(crate) fn tokens_to_read(&self) -> u64 {
        let counter = Counter::estimate();
        let tools: u64 = self.tools.iter().map(|tool| tool.tokens(&counter)).sum();
        let said: u64 = self.messages.iter().map(|message| message.tokens(&counter)).sum();
        said + tools + estimate_tokens(self.system)
    }
}

/// What it answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    /// All of the text, the deltas included.
    pub text: String,
    /// None when this is the answer.
    pub calls: Vec<Proposal>,
    /// What it cost, attempts that failed included.
    pub usage: Usage,
    /// Why it ends where it ends.
    pub stopped: Stopped,
}

/// Why a response ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The model had said what it had to say.
    #[default]
    Whole,
    /// The limit of one response cut it.
    Length,
    /// The provider ended it for its content.
    Refused,
}

/// What is told of a response while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// The next words.
    Text(&'a str),
    /// The response begins anew: what was told of it is superseded.
    Again,
}

/// Hears the pieces of a response.
pub(crate) type Delta<'a> = &'a (dyn for<'t> Fn(Piece<'t>) + Send + Sync);

/// A call before it has our id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The provider's id of the call.
    pub provider_id: String,
    /// The tool's name.
    pub tool: String,
    /// JSON, it is to be hoped.
    pub arguments: String,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Read by the model.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
}

impl Usage {
    /// Both kinds together, which is what a budget counts.
    pub(crate) fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Adds another response's.
    pub(crate) fn add(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
    }
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ModelError {
    /// What came back is no response. Asking again the same way is of no use.
    #[error("the model's response cannot be used: {0}")]
    Invalid(String),
    /// The model could not be asked, or did not answer.
    #[error("{0}")]
    Failed(Failure),
}

/// No response, and what the attempts cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// Why.
    pub error: ModelError,
    /// As far as the provider said.
    pub usage: Usage,
}

/// A model. Implementations keep no conversation: everything is in the request.
#[async_trait::async_trait]
pub(crate) trait Model: fmt::Debug + Send + Sync {
    /// Asks for the next response; `delta` gets the text piece by piece as it comes.
    ///
    /// # Errors
    /// [`Unanswered`].
    async fn respond(&self, request: Request<'_>, delta: Delta<'_>) -> Result<Response, Unanswered>;
}

/// Tokens that a provider puts around a text.
const FRAME: u64 = 4;

/// Tokens of a text where nobody knows the tokenizer.
pub(crate) fn estimate_tokens(text: &str) -> u64 {
    framed(&Counter::estimate(), text)
}

/// Tokens of a text with what is put around it.
pub(crate) fn framed(counter: &Counter, text: &str) -> u64 {
    counter.count(text) + FRAME
}

impl Message {
    /// Tokens of this message.
    pub(crate) fn tokens(&self, counter: &Counter) -> u64 {
        match self {
            Self::User(text) | Self::Recalled(text) | Self::Tool { text, .. } => framed(counter, text),
            Self::Assistant { text, calls } => {
                let calls: u64 = calls
                    .iter()
                    .map(|call| framed(counter, &call.arguments) + framed(counter, &call.tool))
                    .sum();
                framed(counter, text) + calls
            }
        }
    }
}
