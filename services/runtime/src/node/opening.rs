//! What the model is shown first: the prompt, what memory has of the past, as much of it as fits, and the message.

use std::sync::Arc;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1::BuildContextRequest;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{CallId, Clock};

use crate::domain::agent::Agent;
use crate::domain::context::{self, Built};
use crate::domain::model::Message;
use crate::error::Error;
use crate::peers::{Memory, Past, Peers, is_unreachable};

/// Bytes of turns that are asked for, for each token that there is room for: twice what a language's texts have at most (Hindi,
/// `shared/tokens`), so that tokens decide and not bytes.
const TOKEN: u64 = 16;

/// Most bytes of turns that are asked for: they come in one message.
const MAX_TURNS: u32 = 2 << 20;

/// Bytes of a message by which memories are looked for.
const MAX_QUERY: usize = 8 << 10;

/// Told when memory has the turns, but no memories.
const NO_RECALL: &str = "memory could not look for earlier conversations";

/// What the model is to be shown first.
pub(super) struct Opening {
    /// The agent's prompt, and what the client adds to it.
    pub(super) system: String,
    /// The person's message.
    pub(super) text: String,
    /// Tokens of what must be there.
    fixed: u64,
    /// Earlier turns, memories and the person's message.
    pub(super) messages: Vec<Message>,
    /// Whether something of that, or of a turn before, may be anybody's words.
    pub(super) outside: bool,
    /// The session's workspace, if it has one.
    pub(super) workspace: Option<String>,
    /// The run after which the past was read; `None` until then.
    pub(super) read_after: Option<Option<String>>,
}

impl Opening {
    /// Before anything of the past is read.
    ///
    /// # Errors
    /// It could not be counted.
    pub(super) async fn new(
        agent: &Arc<Agent>,
        client_instructions: &str,
        text: String,
    ) -> Result<Self, Failure> {
        let system = context::system(agent, client_instructions);
        let agent = Arc::clone(agent);
        let (fixed, system, text) =
            counting(move || (context::fixed(&agent, &system, &text), system, text)).await?;
        Ok(Self {
            system,
            text,
            fixed,
            messages: Vec::new(),
            outside: false,
            workspace: None,
            read_after: None,
        })
    }

    /// Refuses a message that leaves no room.
    ///
    /// # Errors
    /// [`Error::ContextTooLong`].
    pub(super) fn check(&self, agent: &Agent) -> Result<(), Error> {
        match context::room(agent, self.fixed) {
            Some(_) => Ok(()),
            None => Err(Error::ContextTooLong {
                needed: self.fixed,
                most: agent.limits.context,
            }),
        }
    }

    /// Reads what was said before; the event says how much of it there is room for.
    ///
    /// # Errors
    /// Memory does not answer.
    pub(super) async fn read(
        &mut self,
        agent: &Arc<Agent>,
        peers: &Peers,
        clock: &dyn Clock,
        token: &str,
    ) -> Result<Event, Failure> {
        let room = context::room(agent, self.fixed).unwrap_or_default();
        let (past, fault) = past(&peers.memory, token, self.wanted(agent, room)).await?;
        self.workspace.clone_from(&past.workspace);
        self.read_after = Some(past.last_run.clone());
        let (agent, fixed, text) = (Arc::clone(agent), self.fixed, self.text.clone());
        let id = CallId::generate(clock).to_string();
        let fitted = counting(move || {
            // the random end of an id
            let boundary = id.rsplit('-').next().unwrap_or_default();
            context::fit(&agent, fixed, &past, fault, (&text, boundary))
        });
        let Built {
            messages,
            event,
            outside,
        } = fitted.await?;
        self.messages = messages;
        self.outside = outside;
        Ok(Event::ContextBuilt(event))
    }

    fn wanted(&self, agent: &Agent, room: u64) -> BuildContextRequest {
        let end = self.text.floor_char_boundary(MAX_QUERY.min(self.text.len()));
        BuildContextRequest {
            query: self.text.get(..end).unwrap_or_default().to_owned(),
            max_turn_bytes: u32::try_from(room.saturating_mul(TOKEN))
                .unwrap_or(MAX_TURNS)
                .min(MAX_TURNS),
            recall_limit: agent.limits.recall,
        }
    }
}

/// The past; without memories when only they are missing, and what was missing.
async fn past(
    memory: &Memory,
    token: &str,
    wanted: BuildContextRequest,
) -> Result<(Past, &'static str), Failure> {
    let failure = match memory.past(token, wanted.clone()).await {
        Ok(past) => return Ok((past, "")),
        Err(failure) if wanted.recall_limit == 0 || is_unreachable(&failure) => return Err(failure),
        Err(failure) => failure,
    };
    tracing::warn!(reason = %failure.reason, error = %failure, "a run goes on without memories");
    let wanted = BuildContextRequest {
        query: String::new(),
        recall_limit: 0,
        ..wanted
    };
    Ok((memory.past(token, wanted).await?, NO_RECALL))
}

/// Counts off the threads that everything else needs: a long text takes a tenth of a second.
async fn counting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let lost = |_| Failure::new(Code::Internal, Reason::Internal, "a context could not be counted");
    tokio::task::spawn_blocking(work).await.map_err(lost)
}
