//! Keeping the vectors as the memories are: what has changed is embedded and written, what is gone is removed, and at each
//! start all of it is compared. SQL is the truth; whatever is lost here is made again from it.

mod fault;
mod generations;
mod indexer;
mod models;
mod outbox;
mod reconcile;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use fault::Fault;
pub(crate) use indexer::{Indexer, IndexerDeps, Round};
pub(crate) use models::{Models, ModelsConfig};
