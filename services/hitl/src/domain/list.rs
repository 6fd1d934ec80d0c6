//! What there is to see: requests, in pages that are bounded in number and in bytes.

use std::fmt;
use std::str::FromStr;

use harombe_types::{ApprovalId, Tenant, Timestamp};

use super::Approval;
use super::authority::Authority;
use crate::Error;
use crate::store::{Page, Which};

/// Most requests in one list, and how many if none are asked for.
const MAX_LIST: u32 = 1000;
const DEFAULT_LIST: u32 = 100;
/// Bytes of calls with which a list ends: with the longest call that there can be, still a small part of memory.
const LIST_BYTES: usize = 4 << 20;

/// A place among a tenant's requests, which are listed by time, then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub at: Timestamp,
    pub id: ApprovalId,
}

impl Position {
    #[must_use]
    pub fn of(approval: &Approval) -> Self {
        Self {
            at: approval.requested_at,
            id: approval.id,
        }
    }
}

/// As callers carry it from one page to the next.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_millis(), self.id)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (at, id) = text.split_once('.')?;
            Some(Self {
                at: Timestamp::from_millis(at.parse().ok()?),
                id: id.parse().ok()?,
            })
        };
        read().ok_or(Error::Argument("page_token is not one that a list has answered"))
    }
}

/// Which way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub which: Which,
    pub order: Order,
    /// Only what comes after it.
    pub after: Option<Position>,
    /// 0 for the usual number.
    pub limit: u32,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub approvals: Vec<Approval>,
    /// Where the next page goes on; `None` when there is no more.
    pub next: Option<Position>,
}

impl Authority {
    /// The request as it is now, if people may know of it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn known(&self, tenant: &Tenant, id: ApprovalId) -> Result<Option<Approval>, Error> {
        let found = self.parts.store.approval(tenant, id).await?;
        Ok(found.filter(|approval| approval.recorded))
    }

    /// The tenant's requests that are known, as many as fit into one page.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, tenant: &Tenant, wanted: Wanted) -> Result<Listed, Error> {
        let limit = match wanted.limit {
            0 => DEFAULT_LIST,
            limit => limit.min(MAX_LIST),
        };
        let now = self.parts.clock.now();
        let is_listed = |approval: &Approval| {
            let is_over = approval.decided.is_none() && approval.deadline <= now;
            approval.recorded && (wanted.which == Which::All || !is_over)
        };
        let mut approvals = Vec::new();
        let mut bytes = 0;
        let mut page = Page {
            which: wanted.which,
            order: wanted.order,
            after: wanted.after,
            limit,
            bytes: LIST_BYTES,
        };
        loop {
            let found = self.parts.store.approvals(tenant, page).await?;
            let read: usize = found.iter().map(|approval| approval.call.bytes().len()).sum();
            let is_last = found.len() < page.limit as usize && read < page.bytes;
            page.after = found.last().map(Position::of);
            for approval in found.into_iter().filter(is_listed) {
                bytes += approval.call.bytes().len();
                approvals.push(approval);
            }
            page.limit = limit.saturating_sub(u32::try_from(approvals.len()).unwrap_or(u32::MAX));
            page.bytes = LIST_BYTES.saturating_sub(bytes);
            if is_last || page.limit == 0 || page.bytes == 0 {
                let next = page.after.filter(|_| !is_last);
                return Ok(Listed { approvals, next });
            }
        }
    }
}
