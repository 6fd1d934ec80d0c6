//! The use cases of the log: append, find, open, prove. What the transport calls and the tests drive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe_redact::Scanner;
use harombe_tlog::Hash;
use harombe_types::ServiceName;

use crate::Error;
use crate::domain::{Event, Filter, Leaf, Limits, MAX_BATCH};
use crate::metrics::Numbers;
pub(crate) use crate::store::Opener;
use crate::store::{
    Appended, DataKeys, Head, Index, Lane, Opened, Place, Row, Store, Term, consistency, inclusion, open,
};
pub(crate) use erasures::Erasures;

mod erasures;

/// Entries that the index has not yet taken in and that a query looks at one by one.
const TAIL: u64 = 10_000;
pub(crate) const PAGE: u32 = 500;
/// The most entries that one query returns.
pub(crate) const MAX_FOUND: u32 = 1000;

/// The open log.
pub(crate) struct Log {
    directory: PathBuf,
    store: Box<dyn Store>,
    keys: DataKeys,
    index: Box<dyn Index>,
    limits: Limits,
}

/// The answer to a query: positions first, so that entries can be read as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) indexes: Vec<u64>,
    /// Entries below this position were searched.
    pub(crate) complete_to: u64,
    pub(crate) log_size: u64,
    /// Where to go on; 0 when there is no more.
    pub(crate) next: u64,
}

/// An entry with its details opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub index: u64,
    /// The canonical JSON exactly as hashed.
    pub leaf: Vec<u8>,
    /// The details; empty when there are none, or when their key is gone.
    pub details: String,
}

/// A proof that an entry is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inclusion {
    pub(crate) size: u64,
    pub(crate) path: Vec<Hash>,
    pub(crate) leaf: Vec<u8>,
    pub(crate) checkpoint: String,
}

/// A proof that the log only grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consistency {
    pub(crate) size: u64,
    pub(crate) path: Vec<Hash>,
    pub(crate) checkpoint: String,
}

impl Log {
    pub(crate) async fn open(
        place: Place,
        queue: harombe_sql::Limits,
        limits: Limits,
        numbers: &Numbers,
    ) -> Result<Self, Error> {
        let Opened { store, keys, index } = open(&place, queue, numbers).await?;
        Ok(Self {
            directory: place.directory,
            store,
            keys,
            index,
            limits,
        })
    }

    /// Appends the events, all or none, and says where they stand once they are durable and in the signed tree. An event
    /// that is in the log already keeps its index.
    pub(crate) async fn append(&self, service: ServiceName, events: Vec<Event>) -> Result<Appended, Error> {
        if events.len() > MAX_BATCH {
            return Err(Error::TooLarge {
                what: "batch",
                limit: MAX_BATCH,
            });
        }
        let Some(first) = events.first() else {
            return Ok(Appended::default());
        };
        let lane: Lane = (service, first.tenant.as_str().to_owned());
        let term = self.term()?;
        let mut drafts = Vec::with_capacity(events.len());
        for event in events {
            // Before a key is made for an owner that only a bad event names.
            event.validate()?;
            let (tenant, subject) = event.key_owner();
            let key = self.keys.of(tenant, subject, term).await?;
            drafts.push(event.draft(&key, Scanner::shared(), self.limits)?);
        }
        self.store.append(&lane, term, drafts).await
    }

    /// The term in which this instance writes.
    fn term(&self) -> Result<Term, Error> {
        self.store.term().ok_or(Error::NotWriter)
    }

    pub(crate) async fn head(&self) -> Result<Arc<Head>, Error> {
        self.store.head().await
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The service's own directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The positions of at most `limit` entries that match, from `from` on. The index answers for what it has taken in,
    /// and the newest entries are looked at one by one.
    pub(crate) async fn find(&self, filter: &Filter, from: u64, limit: u32) -> Result<Found, Error> {
        let limit = if limit == 0 {
            MAX_FOUND
        } else {
            limit.min(MAX_FOUND)
        };
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let reader = self.store.reader();
        let (mut indexes, reach) = self.index.find(reader, filter, from, limit + 1).await?;
        // Then: what the index has, the log has too.
        let log_size = self.head().await?.size();
        let mut at = reach.max(from);
        let end = log_size.min(at.saturating_add(TAIL));
        while at < end && indexes.len() <= wanted {
            let rows = reader.entries(at, PAGE).await?;
            let Some(last) = rows.last() else { break };
            at = last.index + 1;
            indexes.extend(
                rows.iter()
                    .filter(|row| row.index < end && matches(filter, row))
                    .map(|row| row.index),
            );
        }
        let more = indexes.get(wanted).copied();
        indexes.truncate(wanted);
        let complete_to = more.unwrap_or(at.min(log_size));
        let next = if complete_to < log_size { complete_to } else { 0 };
        Ok(Found {
            indexes,
            complete_to,
            log_size,
            next,
        })
    }

    /// One entry with its details, unless `filter` does not mean it: what the index says is only a help.
    pub(crate) async fn matching(
        &self,
        opener: &Opener,
        filter: &Filter,
        index: u64,
    ) -> Result<Option<Entry>, Error> {
        let row = self.store.reader().entry(index).await?;
        match row.ok_or(Error::NoSuchEntry)? {
            row if matches(filter, &row) => Ok(Some(opened(&self.keys, opener, row).await?)),
            _ => Ok(None),
        }
    }

    /// One entry with its details.
    #[cfg(test)]
    pub(crate) async fn entry(&self, index: u64) -> Result<Entry, Error> {
        let row = self
            .store
            .reader()
            .entry(index)
            .await?
            .ok_or(Error::NoSuchEntry)?;
        opened(&self.keys, &Opener::default(), row).await
    }

    /// The proof that entry `index`, which must be the tenant's, is among the first `size` entries (0: among all).
    pub(crate) async fn prove(&self, tenant: &str, index: u64, size: u64) -> Result<Inclusion, Error> {
        let head = self.head().await?;
        let size = within(&head, size)?;
        if index >= size {
            return Err(Error::NoSuchEntry);
        }
        let reader = self.store.reader();
        let row = reader.entry(index).await?.ok_or(Error::NoSuchEntry)?;
        if !Leaf::decode(&row.body).is_ok_and(|leaf| leaf.tenant == tenant) {
            return Err(Error::NoSuchEntry);
        }
        let checkpoint = reader.checkpoint(size).await?.ok_or(Error::NoSuchCheckpoint)?;
        let path = inclusion(reader, &head, index, size).await?;
        Ok(Inclusion {
            size,
            path,
            leaf: row.body,
            checkpoint,
        })
    }

    /// The proof that the log of `old` entries is the beginning of the one of `new` entries (0: of all).
    pub(crate) async fn prove_consistency(&self, old: u64, new: u64) -> Result<Consistency, Error> {
        let head = self.head().await?;
        let new = within(&head, new)?;
        if old > new {
            return Err(Error::Invalid("the older tree must not be the larger one"));
        }
        let reader = self.store.reader();
        let checkpoint = reader.checkpoint(new).await?.ok_or(Error::NoSuchCheckpoint)?;
        let path = consistency(reader, &head, old, new).await?;
        Ok(Consistency {
            size: new,
            path,
            checkpoint,
        })
    }

    /// Lets the index take in more of the log; `false` when it has all of it.
    pub(crate) async fn index_more(&self) -> Result<bool, Error> {
        self.index.step(self.store.reader()).await
    }

    /// How many entries the index has not taken in.
    pub(crate) async fn index_lag(&self) -> Result<u64, Error> {
        let reach = self.index.reach(self.store.reader()).await?;
        Ok(self.head().await?.size().saturating_sub(reach))
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
        self.keys.close().await;
        self.index.close().await;
    }
}

/// The wanted size, or that of `head` for 0.
fn within(head: &Head, size: u64) -> Result<u64, Error> {
    match size {
        0 => Ok(head.size()),
        size if size <= head.size() => Ok(size),
        _ => Err(Error::NoSuchCheckpoint),
    }
}

pub(crate) fn matches(filter: &Filter, row: &Row) -> bool {
    Leaf::decode(&row.body).is_ok_and(|leaf| filter.matches(&leaf))
}

pub(crate) async fn opened(keys: &DataKeys, opener: &Opener, row: Row) -> Result<Entry, Error> {
    let event: Option<&[u8; 16]> = row.event_id.as_slice().try_into().ok();
    let details = match (event, &row.details) {
        (Some(event), Some(sealed)) => keys.open_details(opener, event, sealed).await?,
        _ => None,
    };
    let details = String::from_utf8(details.unwrap_or_default()).unwrap_or_default();
    Ok(Entry {
        index: row.index,
        leaf: row.body,
        details,
    })
}
