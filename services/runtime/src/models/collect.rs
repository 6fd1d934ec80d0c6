//! What a stream has brought so far, within bounds: more than a run may take is not collected first.

use serde_json::Value;

use super::fault::Fault;
use crate::domain::model::{Delta, Piece, Proposal, Stopped};

/// Longest text, and longest calls together, in bytes: what a run takes of one response.
const MAX: usize = 1 << 20;

/// Most calls of one response that are kept; a run takes fewer.
const MAX_CALLS: usize = 64;

/// Longest id and longest name of a call, in bytes.
const MAX_ID: usize = 1024;

/// Text, told as it comes.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Adds a piece and tells it.
    ///
    /// # Errors
    /// There is too much of it.
    pub(super) fn push(&mut self, text: &str, delta: Delta<'_>) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        if self.0.len() + text.len() > MAX {
            return Err(Fault::too_long("the text"));
        }
        self.0.push_str(text);
        delta(Piece::Text(text));
        Ok(())
    }

    /// All of it.
    pub(super) fn take(self) -> String {
        self.0
    }
}

/// Calls, whose arguments come in pieces.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Open>,
    bytes: usize,
}

#[derive(Debug)]
struct Open {
    index: u64,
    proposal: Proposal,
    /// Arguments that came whole, at the beginning.
    given: String,
}

impl Calls {
    /// A call begins. What follows under its index belongs to it, even if another call had that index before.
    ///
    /// # Errors
    /// There are too many, or they are too long.
    pub(super) fn begin(&mut self, index: u64, id: String, tool: String, input: &Value) -> Result<(), Fault> {
        if self.open.len() >= MAX_CALLS {
            return Err(Fault::too_long("the list of calls"));
        }
        if id.len() > MAX_ID || tool.len() > MAX_ID {
            return Err(Fault::too_long("the name of a call"));
        }
        let given = match input {
            Value::Object(input) if !input.is_empty() => Value::Object(input.clone()).to_string(),
            _ => String::new(),
        };
        self.count(given.len())?;
        let proposal = Proposal {
            provider_id: id,
            tool,
            arguments: String::new(),
        };
        self.open.push(Open {
            index,
            proposal,
            given,
        });
        Ok(())
    }

    /// The call that the index stands for now.
    pub(super) fn at(&mut self, index: u64) -> Option<&mut Proposal> {
        let open = self.open.iter_mut().rev().find(|open| open.index == index)?;
        Some(&mut open.proposal)
    }

    /// Adds a piece of a call's arguments. One that belongs to no call is passed over.
    ///
    /// # Errors
    /// They are too long.
    pub(super) fn append(&mut self, index: u64, arguments: &str) -> Result<(), Fault> {
        self.count(arguments.len())?;
        if let Some(call) = self.at(index) {
            call.arguments.push_str(arguments);
        }
        Ok(())
    }

    /// All of them, in the order in which they began. A limit may have cut the last one before its arguments: that is not a
    /// call without arguments.
    pub(super) fn take(mut self, stopped: Stopped) -> Vec<Proposal> {
        let cut = |open: &mut Open| open.proposal.arguments.is_empty() && open.given.is_empty();
        if stopped == Stopped::Length {
            self.open.pop_if(cut);
        }
        let calls = self.open.into_iter().map(|open| {
            let Open {
                mut proposal, given, ..
            } = open;
            if proposal.arguments.is_empty() {
                proposal.arguments = given;
            }
            proposal
        });
        calls.collect()
    }

    fn count(&mut self, more: usize) -> Result<(), Fault> {
        self.bytes += more;
        if self.bytes > MAX {
            return Err(Fault::too_long("the calls' arguments"));
        }
        Ok(())
    }
}
