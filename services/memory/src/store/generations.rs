//! Which embedding models' vectors there are, which of them may serve, and whose task it is to write them.

use async_trait::async_trait;
use harombe_types::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::Generation;
use crate::error::Error;
use crate::store::rows::{signed, unsigned};

/// The port. Generations are nobody's: they hold vectors of all tenants.
#[async_trait]
pub(crate) trait Generations: Send + Sync + 'static {
    /// All, by name.
    async fn generations(&self) -> Result<Vec<Generation>, Error>;
    /// Adds it, or writes it over the one of the same name.
    async fn put_generation(&self, generation: &Generation) -> Result<(), Error>;
    /// Forgets it; there may be none.
    async fn remove_generation(&self, name: &str) -> Result<(), Error>;
    /// How many changes the vectors are still to be told of.
    async fn waiting(&self) -> Result<u64, Error>;
    /// Makes the holder the one that writes vectors until then, unless another one is; whether it is.
    async fn hold_indexing(&self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool, Error>;
    /// Lets the holder write vectors until then, if nobody else was made the one that does since it was; whether it may.
    async fn keep_indexing(&self, holder: Uuid, until: Timestamp) -> Result<bool, Error>;
    /// Lets others write vectors at once, if the holder is the one that does.
    async fn let_go_of_indexing(&self, holder: Uuid) -> Result<(), Error>;
}

#[derive(Debug, FromRow)]
pub(super) struct GenerationRow {
    name: String,
    dimension: i64,
    source: String,
    complete: bool,
}

impl TryFrom<GenerationRow> for Generation {
    type Error = Error;

    fn try_from(row: GenerationRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.name,
            dimension: u32::try_from(unsigned(row.dimension))
                .map_err(|_| Error::Stored("number of dimensions"))?,
            source: serde_json::from_str(&row.source).map_err(|_| Error::Stored("source of a model"))?,
            complete: row.complete,
        })
    }
}

/// What is bound to the statement that writes one, in its order.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) dimension: i64,
    pub(super) source: String,
    pub(super) complete: bool,
}

impl TryFrom<&Generation> for Written {
    type Error = Error;

    fn try_from(generation: &Generation) -> Result<Self, Error> {
        Ok(Self {
            name: generation.name.clone(),
            dimension: signed(generation.dimension.into()),
            source: serde_json::to_string(&generation.source)
                .map_err(|_| Error::Stored("source of a model"))?,
            complete: generation.complete,
        })
    }
}
