//! Why an exchange ended, across an HTTP stack that only knows that it did.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::Error;

/// Tells hyper to stop; the reason lies in the slot.
#[derive(Debug, thiserror::Error)]
#[error("the exchange ended early")]
pub(super) struct Ended;

/// Keeps the first error, which is the cause of the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Error>>>);

impl Slot {
    pub(super) fn end(&self, error: Error) -> Ended {
        self.0.lock().get_or_insert(error);
        Ended
    }

    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().take()
    }
}
