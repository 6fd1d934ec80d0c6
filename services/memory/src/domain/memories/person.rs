//! Memories of a person who is erased.

use harombe_trail::{Event, Kind};
use harombe_types::{EventId, Person, Principal};
use serde_json::json;
use uuid::Uuid;

use super::Memories;
use crate::domain::{Owner, Part};
use crate::error::Error;

/// In the log, and for those who count.
const WHAT: &str = "person_erased";
/// Memories that are erased at once.
const MEMORIES: u32 = 1_000;
/// Steps that are recorded at once.
const STEPS: u32 = 256;

impl Memories {
    /// Has it on record that an admin is about to erase a part of a person: so many sessions, and of so many memories those of
    /// the sessions and, when there are no others, the oldest of the rest. It is the admin's event, and sealed as such: it can be
    /// read when nothing can any more that is sealed for the person.
    ///
    /// # Errors
    /// [`Error::Unrecorded`]: nothing may be erased.
    pub(in crate::domain) async fn announce_person(
        &self,
        admin: &Person,
        owner: &Owner,
        sessions: usize,
        memories: u64,
    ) -> Result<(), Error> {
        let event = Event::new(Kind::MemoryForgotten, &owner.tenant)
            .principal(&Principal::Person(admin.clone()))
            .at(self.now())
            .first_id(self.event())
            .details(json!({
                "what": WHAT,
                "subject": owner.subject.as_str(),
                "sessions": sessions,
                "memories": memories,
            }));
        self.announce(event, WHAT).await
    }

    /// Erases the oldest memories of an owner; with the last ones all else that is known of them.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::domain) async fn erase_all_of(&self, owner: &Owner) -> Result<Part, Error> {
        let part = self.0.store.erase_person(owner, MEMORIES).await?;
        self.0.meanings.wake();
        Ok(part)
    }

    /// Records what has happened to an owner's memories and is not on record yet: later, it could be sealed for the next of the
    /// name. Whether there may be more to do.
    ///
    /// # Errors
    /// The store's, or [`Error::Unrecorded`].
    pub(in crate::domain) async fn record_all_of(&self, owner: &Owner) -> Result<bool, Error> {
        let steps = self.0.store.steps_of(owner, STEPS).await?;
        let mut more = u32::try_from(steps.len()).is_ok_and(|found| found >= STEPS);
        for step in &steps {
            match self.record(step, EventId::from(Uuid::nil())).await {
                // it is set aside, and goes with what is erased next
                Err(error) if error.is_rejected() => more = true,
                recorded => drop(recorded?),
            }
        }
        Ok(more)
    }
}
