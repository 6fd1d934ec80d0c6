//! Erasing a person: what the log knows of them in detail goes with the key that opens it. Leaves and proofs stay.

use std::sync::Arc;

use harombe_types::{Clock, Person, ServiceName, Subject};
use tokio::sync::Mutex;

use super::Log;
use crate::Error;
use crate::domain::{Sequence, data_key_erased};

/// Erases people, on record.
pub(crate) struct Erasures {
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    sequence: Mutex<Sequence>,
}

impl Erasures {
    pub(crate) fn new(log: Arc<Log>, clock: Arc<dyn Clock>) -> Self {
        let sequence = Mutex::new(Sequence::new(&*clock));
        Self { log, clock, sequence }
    }

    /// Has the log forget `subject` in the tenant of `by`, and returns how many keys there were. Without one, nothing is
    /// recorded; what an earlier call could not end is ended.
    ///
    /// # Errors
    /// [`Error::NotWriter`] at an instance that does not write, and what the store says. The key may be gone nevertheless:
    /// asking again is safe, and answers only when it is.
    pub(crate) async fn erase(&self, by: &Person, subject: &Subject) -> Result<u64, Error> {
        // One term for all of it: what is found now, and destroyed below, no other instance has used in between.
        let term = self.log.term()?;
        let keys = &self.log.keys;
        let (tenant, subject_name) = (by.tenant.as_str(), subject.as_str());
        if !keys.has(tenant, subject_name).await? {
            keys.overwrite().await?;
            return Ok(0);
        }
        self.record(by, subject).await?;
        keys.destroy(tenant, subject_name, term).await?;
        Ok(1)
    }

    /// Puts it on record. One at a time: a number is settled before the next is given.
    async fn record(&self, by: &Person, subject: &Subject) -> Result<(), Error> {
        let mut sequence = self.sequence.lock().await;
        let number = sequence.take(&*self.clock);
        let event = data_key_erased(by, subject, number, &*self.clock);
        self.log.append(ServiceName::Audit, vec![event]).await?;
        sequence.settle();
        Ok(())
    }
}
