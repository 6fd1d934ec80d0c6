//! What both query indexes share: how much of a leaf is indexed, and how a filter becomes conditions.

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::{Reader, Row, row_id};
use crate::Error;
use crate::domain::{Filter, Leaf};

/// Entries that one step takes in, under one commit.
pub(super) const STEP: u32 = 2000;

/// How far an index has come: entries below `next` are in it, and `hash` is the leaf hash of the last of them.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) next: u64,
    pub(super) hash: Option<Vec<u8>>,
}

impl Progress {
    /// Whether an index that came so far is of this log, and not of another history, as after a restore of either.
    pub(super) async fn belongs_to(&self, log: &dyn Reader) -> Result<bool, Error> {
        let Some(last) = self.next.checked_sub(1) else {
            return Ok(true);
        };
        let row = log.entry(last).await?;
        Ok(row.is_some_and(|row| Some(row.hash) == self.hash))
    }

    /// Up to where such an index can be believed.
    pub(super) async fn reach(&self, log: &dyn Reader) -> Result<u64, Error> {
        Ok(if self.belongs_to(log).await? { self.next } else { 0 })
    }
}

/// The position, the time in milliseconds and the leaf of an entry.
pub(super) fn indexed(row: &Row) -> Result<(i64, i64, Leaf), Error> {
    let damaged = || Error::Damaged(format!("entry {} is not a leaf", row.index));
    let leaf = Leaf::decode(&row.body).map_err(|_| damaged())?;
    let time = leaf.millis().ok_or_else(damaged)?;
    Ok((row_id(row.index), time, leaf))
}

/// The statement that finds at most `limit` positions of matching entries in `from..reach`, in order.
pub(super) fn search<DB: Database>(filter: &Filter, from: u64, reach: u64, limit: u32) -> QueryBuilder<DB>
where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("SELECT idx FROM indexed WHERE idx >= ");
    query
        .push_bind(row_id(from))
        .push(" AND idx < ")
        .push_bind(row_id(reach));
    let equal = [
        (" AND tenant = ", &filter.tenant),
        (" AND kind = ", &filter.kind),
        (" AND run <> '' AND run = ", &filter.run),
        (" AND session <> '' AND session = ", &filter.session),
        (" AND call <> '' AND call = ", &filter.call),
        (" AND service = ", &filter.service),
    ];
    for (condition, value) in equal {
        if let Some(value) = value {
            query.push(condition).push_bind(value.clone());
        }
    }
    if let Some(since) = filter.since {
        query.push(" AND time >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" AND time < ").push_bind(until);
    }
    query.push(" ORDER BY idx LIMIT ").push_bind(i64::from(limit));
    query
}
