//! What fits into an agent's context. The prompt, the tools and the message must; of the room that they leave, memories get
//! at most a quarter, the summaries of older turns at most an eighth, and the newest whole turns the rest.

use harombe_proto::memory::v1::{Memory, Turn};
use harombe_proto::types::v1::{ContextBuilt, LeftOut, RecalledMemory};
use harombe_tokens::Counter;

use super::blocks::{self, Block};
use super::{outside, read_back};
use crate::domain::agent::Agent;
use crate::domain::model::{Message, framed};
use crate::peers::Past;

/// Parts of the room: memories get one of so many.
const RECALLED: u64 = 4;
/// And the summaries.
const SUMMARY: u64 = 8;

/// Turns that memory gives for one context, at most, however short they are.
const MAX_TURNS: u32 = 1000;

/// Said of a memory whose search was not whole.
const DEGRADED: &str =
    "earlier conversations were searched by words alone; vectors or embeddings are out of reach";

/// What the model is shown at first, and what is told of it.
#[derive(Debug)]
pub(crate) struct Built {
    /// The past and the message.
    pub messages: Vec<Message>,
    /// For clients.
    pub event: ContextBuilt,
    /// Whether something of it is from outside, and may be anybody's words.
    pub outside: bool,
}

/// Tokens of what must be there: the prompt, the tools and the message.
pub(crate) fn fixed(agent: &Agent, system: &str, text: &str) -> u64 {
    counted(&agent.counter, agent, system, text)
}

/// As [`fixed`], counted otherwise.
pub(crate) fn counted(counter: &Counter, agent: &Agent, system: &str, text: &str) -> u64 {
    let tools: u64 = agent.tools.iter().map(|tool| tool.tokens(counter)).sum();
    framed(counter, system) + tools + framed(counter, text)
}

/// Tokens that are left for the past; `None` when what must be there is too long already.
pub(crate) fn room(agent: &Agent, fixed: u64) -> Option<u64> {
    u64::from(agent.limits.context).checked_sub(fixed)
}

/// Chooses what is shown. `fault` says what was missing for recalling, where something was.
pub(crate) fn fit(
    agent: &Agent,
    fixed: u64,
    past: &Past,
    fault: &str,
    (text, boundary): (&str, &str),
) -> Built {
    let (counter, room) = (&agent.counter, room(agent, fixed).unwrap_or_default());
    let mut shelf = Shelf::new(counter, boundary);
    for summary in &past.summaries {
        shelf.summary(summary, room / SUMMARY);
    }
    let summarised = !shelf.summaries.is_empty();
    for memory in &past.recalled {
        shelf.recalled(memory, room / RECALLED);
    }
    let shown = shelf.message(boundary);
    let remembered = shown.as_ref().map_or(0, |message| message.tokens(counter));
    let turns = Turns::newest(counter, &past.turns, room.saturating_sub(remembered));
    let mut left_out: Vec<_> = turns.left_out(past, agent.limits.context).into_iter().collect();
    left_out.extend(shelf.left_out);
    let outside = past.saw_outside
        || outside::seen(&turns.messages)
        || past.turns.iter().any(|turn| turn.claimed)
        || past
            .recalled
            .iter()
            .chain(&past.summaries)
            .any(blocks::is_anybodys);
    let degraded = fault.is_empty() && past.degraded;
    let event = ContextBuilt {
        turns: turns.count.saturating_add(1),
        tokens: narrow(fixed + remembered + turns.tokens),
        truncated: turns.is_cut || past.turns_left_out > 0,
        counted_by: counter.name().to_owned(),
        recalled: shelf.told,
        summarised,
        recall_fault: if degraded { DEGRADED } else { fault }.to_owned(),
        left_out,
    };
    let mut messages = turns.messages;
    messages.extend(shown);
    messages.push(Message::User(text.to_owned()));
    Built {
        messages,
        event,
        outside,
    }
}

/// What is shown of memories.
struct Shelf<'a> {
    counter: &'a Counter,
    /// Of the message without a memory.
    frame: u64,
    /// The newest stretch first.
    summaries: Vec<Block>,
    summary_tokens: u64,
    blocks: Vec<Block>,
    tokens: u64,
    told: Vec<RecalledMemory>,
    left_out: Vec<LeftOut>,
}

impl<'a> Shelf<'a> {
    fn new(counter: &'a Counter, boundary: &str) -> Self {
        Self {
            counter,
            frame: framed(counter, &blocks::message(boundary, &[])),
            summaries: Vec::new(),
            summary_tokens: 0,
            blocks: Vec::new(),
            tokens: 0,
            told: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// A token more than the block has, for the line's end before it.
    fn tokens(&self, block: &Block) -> u64 {
        self.counter.count(block.as_str()) + 1
    }

    fn summary(&mut self, memory: &Memory, most: u64) {
        let block = Block::summary(memory);
        let tokens = self.tokens(&block);
        if self.frame + self.summary_tokens + tokens > most {
            let reason = format!("summaries may take {most} tokens, an eighth of the room there is");
            self.leave_out("summary", tokens, reason);
            return;
        }
        self.summary_tokens += tokens;
        self.summaries.push(block);
    }

    fn recalled(&mut self, memory: &Memory, most: u64) {
        let block = Block::memory(memory);
        let tokens = self.tokens(&block);
        if self.frame + self.tokens + tokens > most {
            let reason = format!("memories may take {most} tokens, a quarter of the room there is");
            self.leave_out("memories", tokens, reason);
            return;
        }
        self.tokens += tokens;
        self.blocks.push(block);
        let provenance = memory.provenance.clone().unwrap_or_default();
        self.told.push(RecalledMemory {
            memory_id: memory.memory_id.clone(),
            session_id: provenance.session_id,
            run_id: provenance.run_id,
            tokens: narrow(tokens),
        });
    }

    fn leave_out(&mut self, what: &str, tokens: u64, reason: String) {
        match self.left_out.iter_mut().find(|left| left.what == what) {
            Some(left) => {
                left.count += 1;
                left.tokens = left.tokens.saturating_add(narrow(tokens));
            }
            None => self.left_out.push(LeftOut {
                what: what.to_owned(),
                count: 1,
                tokens: narrow(tokens),
                reason,
            }),
        }
    }

    fn message(&mut self, boundary: &str) -> Option<Message> {
        let blocks: Vec<_> = std::mem::take(&mut self.summaries)
            .into_iter()
            .rev()
            .chain(std::mem::take(&mut self.blocks))
            .collect();
        (!blocks.is_empty()).then(|| Message::Recalled(blocks::message(boundary, &blocks)))
    }
}

/// The newest whole turns that fit.
struct Turns {
    messages: Vec<Message>,
    count: u32,
    tokens: u64,
    is_cut: bool,
    left_out: u64,
    left_out_tokens: u64,
}

impl Turns {
    fn newest(counter: &Counter, turns: &[Turn], room: u64) -> Self {
        let mut kept = Vec::new();
        let (mut tokens, mut left_out, mut left_out_tokens) = (0_u64, 0, 0_u64);
        for turn in turns.iter().rev() {
            let messages = read_back(turn);
            let needed: u64 = messages.iter().map(|message| message.tokens(counter)).sum();
            // none is shown without those after it
            if left_out > 0 || tokens + needed > room {
                left_out += 1;
                left_out_tokens += needed;
            } else {
                tokens += needed;
                kept.push(messages);
            }
        }
        Self {
            count: narrow(kept.len() as u64),
            messages: kept.into_iter().rev().flatten().collect(),
            tokens,
            is_cut: left_out > 0,
            left_out,
            left_out_tokens,
        }
    }

    /// Of those that memory left out nobody has counted the tokens.
    fn left_out(&self, past: &Past, context: u32) -> Option<LeftOut> {
        let count = self.left_out + past.turns_left_out;
        let reason = if self.left_out > 0 {
            format!("older than what fits a context of {context} tokens")
        } else {
            let most = past.max_bytes;
            format!(
                "older than the newest that are looked at: at most {MAX_TURNS} turns of {most} bytes together"
            )
        };
        (count > 0).then(|| LeftOut {
            what: "turns".to_owned(),
            count: narrow(count),
            tokens: narrow(self.left_out_tokens),
            reason,
        })
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
