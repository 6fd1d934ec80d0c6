//! Approvals that nobody has decided, and what stands on the screen when one is asked for.

use std::time::Duration;

use harombe_proto::types::v1::ApprovalRequired;
use tokio::time::Instant;

/// Between two questions about the same call, when the first came to nothing.
const PAUSE: Duration = Duration::from_secs(2);

/// An approval that is wanted.
pub(super) struct Pending {
    pub(super) required: ApprovalRequired,
    /// What can be done about it here was done: it is decided elsewhere, or its decision is on its way.
    pub(super) is_answered: bool,
    pub(super) is_announced: bool,
    pub(super) is_out_of_reach: bool,
    /// It is not asked before.
    not_before: Option<Instant>,
}

/// The call that was shown last, and how much was printed by then.
#[derive(Debug, Default)]
pub(super) struct Last {
    call_id: String,
    printed: u64,
}

impl Pending {
    pub(super) fn of(required: ApprovalRequired, is_announced: bool) -> Self {
        Self {
            required,
            is_answered: false,
            is_announced,
            is_out_of_reach: false,
            not_before: None,
        }
    }

    /// It could not be answered; answers whether that is new.
    pub(super) fn postpone(&mut self) -> bool {
        self.not_before = Some(Instant::now() + PAUSE);
        !std::mem::replace(&mut self.is_out_of_reach, true)
    }

    /// Whether it is to be asked for now.
    pub(super) fn is_due(&self) -> bool {
        !self.is_answered && self.not_before.is_none_or(|moment| moment <= Instant::now())
    }
}

impl Last {
    /// That call was printed, and nothing else so far.
    pub(super) fn is_printed(&mut self, call_id: &str, printed: u64) {
        call_id.clone_into(&mut self.call_id);
        self.printed = printed;
    }

    /// Whether that call is what stands last, now that so much was printed.
    pub(super) fn is(&self, call_id: &str, printed: u64) -> bool {
        self.call_id == call_id && self.printed == printed
    }
}
