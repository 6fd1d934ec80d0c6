//! What a run's journal says to a node that takes the run over: the private part of its entries, and how the whole is
//! read back into a run that can go on.

use std::collections::HashMap;

use harombe_proto::memory::v1::JournalEntry;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{CallId, Timestamp};
use serde::{Deserialize, Serialize};

use super::model::{Call, Message, Usage};

/// The private part of a journal entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum State {
    /// The model answered.
    Response {
        /// Its text.
        text: String,
        /// Its calls, under our ids.
        calls: Vec<Call>,
        /// Tokens that it read.
        input: u64,
        /// Tokens that it wrote.
        output: u64,
        /// Whether what its run began with may be anybody's words: another node may be shown something else. Absent where nobody
        /// wrote it down.
        #[serde(default)]
        outside: Option<bool>,
    },
    /// The call is about to be handed to the service that performs it.
    Dispatched {
        /// Which.
        call: CallId,
    },
}

/// A call that has no result yet, and how far it had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenCall {
    /// What was proposed.
    pub call: Call,
    /// Clients were told that it waits for a decision.
    pub approval_shown: bool,
    /// Clients were told of the decision.
    pub decision_shown: bool,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// What the turn has added to the conversation after the person's message.
    pub said: Vec<Message>,
    /// Responses that the model has given.
    pub steps: u32,
    /// What they cost.
    pub usage: Usage,
    /// When the run began; absent in a run that begins now.
    pub began: Option<Timestamp>,
    /// Calls of the last response without a result.
    pub open: Vec<OpenCall>,
    /// Whether a node before may have shown the model what may be anybody's words, at the beginning.
    pub outside: bool,
    results: HashMap<CallId, String>,
}

/// A journal that this program did not write, or cannot read any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableJournal {
    /// The private part is not ours.
    #[error("the entry {cursor} of the journal cannot be read")]
    State {
        /// Its position.
        cursor: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl State {
    /// The bytes that go into the journal.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // a struct of strings and numbers always has a JSON form
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The entry of a response.
    pub(crate) fn response(text: &str, calls: &[Call], usage: Usage, outside: bool) -> Self {
        let calls = calls.to_vec();
        Self::Response {
            text: text.to_owned(),
            calls,
            input: usage.input,
            output: usage.output,
            outside: Some(outside),
        }
    }
}

impl Progress {
    /// Reads a journal from its beginning.
    ///
    /// # Errors
    /// [`UnreadableJournal`].
    pub(crate) fn read(entries: &[JournalEntry]) -> Result<Self, UnreadableJournal> {
        let mut progress = Self::default();
        for entry in entries {
            if !entry.state.is_empty() {
                let state =
                    serde_json::from_slice(&entry.state).map_err(|source| UnreadableJournal::State {
                        cursor: entry.cursor,
                        source,
                    })?;
                progress.apply_state(state);
            }
            let Some(event) = &entry.event else { continue };
            if progress.began.is_none() {
                progress.began = event.time.as_ref().map(Timestamp::from);
            }
            if let Some(event) = &event.event {
                progress.apply_event(event);
            }
        }
        progress.close_answered_calls();
        Ok(progress)
    }

    /// Takes in a response of the model.
    pub(crate) fn respond(&mut self, text: String, calls: Vec<Call>, usage: Usage) {
        self.close_answered_calls();
        self.steps += 1;
        self.usage.add(usage);
        self.open = calls.iter().cloned().map(OpenCall::new).collect();
        self.said.push(Message::Assistant { text, calls });
    }

    /// Takes in the result of a call.
    pub(crate) fn answer(&mut self, call: CallId, text: String) {
        self.results.insert(call, text);
    }

    /// Puts the results behind the response that asked for them, in its order, once all are there.
    pub(crate) fn close_answered_calls(&mut self) {
        if self
            .open
            .iter()
            .all(|open| self.results.contains_key(&open.call.id))
        {
            self.close_calls("");
        } else {
            let results = &self.results;
            self.open.retain(|open| !results.contains_key(&open.call.id));
        }
    }

    /// Puts the results behind the response that asked for them; calls that have none get `missing`. A conversation in
    /// which a call has no answer is one that no model accepts.
    pub(crate) fn close_calls(&mut self, missing: &str) {
        let Some(Message::Assistant { calls, .. }) = self.said.last() else {
            return;
        };
        let answers: Vec<_> = calls
            .iter()
            .map(|call| Message::Tool {
                call: call.id,
                provider_id: call.provider_id.clone(),
                text: self
                    .results
                    .remove(&call.id)
                    .unwrap_or_else(|| missing.to_owned()),
            })
            .collect();
        self.said.extend(answers);
        self.open.clear();
    }

    fn apply_state(&mut self, state: State) {
        match state {
            State::Response {
                text,
                calls,
                input,
                output,
                outside,
            } => {
                self.outside |= outside.unwrap_or(true);
                self.respond(text, calls, Usage { input, output });
            }
            // Whether it had its effect is for hitl to say: a call that was redeemed is never redeemed again. What was done
            // with memories is done again: a memory that is saved has the call's id, and hiding one twice hides it.
            State::Dispatched { .. } => {}
        }
    }

    fn apply_event(&mut self, event: &Event) {
        match event {
            Event::ApprovalRequired(event) => self.mark(&event.call_id, |open| open.approval_shown = true),
            Event::ApprovalDecided(event) => self.mark(&event.call_id, |open| open.decision_shown = true),
            Event::ToolFinished(event) => {
                if let Ok(call) = event.call_id.parse() {
                    self.answer(call, event.result.clone());
                }
            }
            _ => {}
        }
    }

    fn mark(&mut self, call: &str, mark: impl FnOnce(&mut OpenCall)) {
        if let Some(open) = self.open.iter_mut().find(|open| open.call.id.to_string() == call) {
            mark(open);
        }
    }
}

impl OpenCall {
    /// A call that nothing has happened to.
    pub(crate) fn new(call: Call) -> Self {
        Self {
            call,
            approval_shown: false,
            decision_shown: false,
        }
    }
}

#[cfg(test)]
mod tests;
