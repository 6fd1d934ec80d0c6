//! What a vector store does for the memory service.

use async_trait::async_trait;
use uuid::Uuid;

use crate::Error;

/// How points are written. What was written otherwise cannot be searched: collections of another format are made again, so
/// their names should have it.
///
/// 2: a tenant's subject is one tag, for which graphs are built.
pub const FORMAT: u32 = 2;

/// Vectors of one embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Letters a to z, digits and hyphens, 1 to 64 of them.
    pub name: String,
    /// Numbers in each vector, from 1 to 8,192.
    pub dimension: u32,
}

/// One memory's vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub id: Uuid,
    /// Compared by its direction alone: its length is not kept.
    pub vector: Vec<f32>,
    pub tags: Tags,
}

/// What a search may filter by, and what reconciliation needs; nothing that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    pub tenant: String,
    pub subject: String,
    pub agent: String,
    pub session: Option<Uuid>,
    pub kind: u8,
    pub label: u8,
    pub time_ms: i64,
    /// From 0 to 2^63 − 1.
    pub seq: u64,
}

/// Which points a search is about: those of one subject for which each condition holds. An empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub tenant: String,
    pub subject: String,
    pub agent: Option<String>,
    /// Any of these.
    pub sessions: Vec<Uuid>,
    /// Any of these.
    pub kinds: Vec<u8>,
    /// Any of these.
    pub labels: Vec<u8>,
    /// At this time or later.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
}

/// The tag of a tenant's subject. Its graph is its own, whatever subjects of other tenants are called: no two owners have the
/// same, because the length of the tenant's name comes first.
pub(crate) fn owner(tenant: &str, subject: &str) -> String {
    format!("{}:{tenant}{subject}", tenant.len())
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub id: Uuid,
    /// The cosine of the angle between the two vectors: from −1 to 1, give or take the last digits of a float.
    pub score: f32,
}

/// How a collection came to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was there, with what was written to it.
    Existing,
    /// It was not, and is now, empty.
    Created,
    /// What was there could not be used and was put aside. It is empty now, and must be filled again.
    Rebuilt { reason: String },
}

/// A store of vectors. Cheap to call from many tasks at once; what it does not get done at once it refuses as
/// [`Error::Busy`].
///
/// A point stays its tenant's: writing the same id for another tenant changes nothing.
#[async_trait]
pub trait Vectors: Send + Sync + 'static {
    /// Makes the collection and its indexes if they are not there. Called before anything else is asked of a collection,
    /// and again when an answer was [`Error::Damaged`].
    ///
    /// # Errors
    /// [`Error::Dimension`] when it is there with vectors of another length.
    async fn ensure(&self, collection: &Collection) -> Result<Ensured, Error>;

    /// Those that are there, by name. The dimension of one that cannot be read is 0.
    async fn collections(&self) -> Result<Vec<Collection>, Error>;

    /// Removes a collection and all of its vectors; there may be none of that name.
    async fn drop_collection(&self, name: &str) -> Result<(), Error>;

    /// Writes points over those of the same ids. Durable when it returns; may be repeated. At most 1,000 at once.
    async fn upsert(&self, collection: &Collection, points: Vec<Point>) -> Result<(), Error>;

    /// Removes those of the ids that the tenant has. Durable when it returns; may be repeated. At most 1,000 at once.
    async fn delete(&self, collection: &Collection, tenant: &str, ids: Vec<Uuid>) -> Result<(), Error>;

    /// The nearest points, best first, and by id among equals. `exact` compares with each point instead of the index.
    /// At most 10,000.
    async fn search(
        &self,
        collection: &Collection,
        filter: &Filter,
        vector: &[f32],
        limit: u32,
        exact: bool,
    ) -> Result<Vec<Hit>, Error>;

    /// The vectors of those of the ids that the tenant has, each of length 1, in no order. At most 1,000 at once.
    async fn get(
        &self,
        collection: &Collection,
        tenant: &str,
        ids: Vec<Uuid>,
    ) -> Result<Vec<(Uuid, Vec<f32>)>, Error>;

    /// A page of all points of all tenants, each with its tenant and seq, by id and beginning after one. The last page is
    /// the first that is not full. At most 10,000.
    async fn ids(
        &self,
        collection: &Collection,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(Uuid, String, u64)>, Error>;

    /// How many points there are.
    async fn count(&self, collection: &Collection) -> Result<u64, Error>;

    /// How many of them a search with this filter is about.
    async fn count_of(&self, collection: &Collection, filter: &Filter) -> Result<u64, Error>;

    /// All collections have what they should: what was put aside of them is removed. May be repeated.
    async fn settled(&self) -> Result<(), Error>;

    /// Returns when all that was written before is durable.
    async fn flush(&self) -> Result<(), Error>;

    /// Takes nothing more and ends what is under way. It may take as long as an index takes to be built; nothing that
    /// was acknowledged is lost when it is not waited for.
    async fn close(&self);
}
