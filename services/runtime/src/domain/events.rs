//! Where a call's steps go: into a run's journal, or straight to a person who made the call themselves.

use async_trait::async_trait;
use harombe_error::Reason;
use harombe_proto::types::v1::StopReason;
use harombe_proto::types::v1::run_event::Event;

use super::state::State;

/// One entry of a journal, before it has its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// What clients see.
    pub event: Option<Event>,
    /// What only a runtime reads.
    pub state: Option<State>,
}

/// Why a run goes no further here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A budget is spent, or somebody cancelled it.
    Finish(StopReason),
    /// It cannot go on at all.
    Fail {
        /// A stable reason.
        reason: Reason,
        /// What happened and what to do.
        message: String,
    },
    /// Another node has it, or will: nothing more may be written here.
    Leave,
}

/// Takes the steps of calls.
#[async_trait]
pub(crate) trait Events: Send + Sync {
    /// Returns once the entries are durable, where they are to be.
    ///
    /// # Errors
    /// The call must go no further.
    async fn record(&self, entries: Vec<Entry>) -> Result<(), Stop>;

    /// Tells who listens now; not stored.
    fn pass(&self, event: Event);
}

impl Entry {
    /// Bytes of what it says, as the journal stores it.
    pub(crate) fn encoded_len(&self) -> usize {
        let event = self.event.as_ref().map_or(0, Event::encoded_len);
        let state = self.state.as_ref().map_or(0, |state| state.encode().len());
        event + state
    }
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self {
            event: Some(event),
            state: None,
        }
    }
}

impl From<State> for Entry {
    fn from(state: State) -> Self {
        Self {
            event: None,
            state: Some(state),
        }
    }
}
