//! What consolidation has looked at, what it finds facts by, and what summaries cover.

use async_trait::async_trait;
use harombe_types::{SessionId, Timestamp};
use uuid::Uuid;

use crate::domain::consolidation::{Behind, Plan, Put, Putting, Segment, Taking, Told, Work};
use crate::domain::{Memory, Owner, Step};
use crate::error::Error;

/// The port. Every method is atomic, and durable when it returns.
#[async_trait]
pub(crate) trait Consolidations: Send + Sync + 'static {
    /// Makes the holder the one that consolidates until then, unless another one is; whether it is.
    async fn hold(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, Error>;
    /// Lets others go on at once, if the holder is the one that consolidates.
    async fn let_go(&self, holder: Uuid) -> Result<(), Error>;
    /// Owners of changes that were not looked at, tenants in turn; of a tenant those first that were not looked at for longest.
    async fn behind(&self, limit: u32) -> Result<Vec<Behind>, Error>;
    /// How many there are.
    async fn count_behind(&self) -> Result<u64, Error>;
    /// Lets the tenant's other owners go first.
    async fn put_off(&self, owner: &Owner, now: Timestamp) -> Result<(), Error>;
    /// Facts that hold, are found and have one of these keys, the newest first.
    async fn alike(&self, owner: &Owner, keys: &[i64], limit: u32) -> Result<Vec<Memory>, Error>;
    /// The highest ordinal of a session's turns; `None` when it has none.
    async fn reach(&self, owner: &Owner, session: SessionId) -> Result<Option<u32>, Error>;
    /// What of a segment is told in summaries.
    async fn told(&self, owner: &Owner, segment: Segment) -> Result<Told, Error>;
    /// The turns of a segment that can be told of, in their order.
    async fn turns(&self, owner: &Owner, segment: Segment, limit: u32) -> Result<Vec<Memory>, Error>;
    /// Writes what came of a look, with how far it reached; answers with what must be on record, in order, before links and
    /// summaries are seen. `None` when somebody else has looked since, or something that it was made of is gone: then nothing
    /// has happened.
    ///
    /// # Errors
    /// As [`crate::store::MemoryStore::save`]: then nothing has happened either.
    async fn consolidate(&self, plan: Plan) -> Result<Option<Vec<Step>>, Error>;
    /// What of a segment a model is to sum up, if it still is time for that and nobody else has any of the session.
    async fn take_work(&self, taking: Taking) -> Result<Option<Work>, Error>;
    /// Saves a summary of work that was taken. A repetition answers the same.
    ///
    /// # Errors
    /// As [`crate::store::MemoryStore::save`].
    async fn put_summary(&self, putting: Putting) -> Result<Put, Error>;
}
