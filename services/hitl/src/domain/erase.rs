//! Erases what people were asked on behalf of one person. A request ends before it is erased: nobody waits for a decision that
//! cannot come any more, and what was decided is in the log.

use harombe_types::{ApprovalId, EventId, Person, Subject};

use super::authority::Authority;
use super::{Change, Decided, Decision, record};
use crate::Error;

/// Most requests that one call erases: each that waits is an event of the log or two before.
const MOST: usize = 32;
/// Names that are read at once; of whatever cannot be ended, each is passed over.
const NAMES: u32 = 64;

/// What is said of a request that ends because it is erased.
pub const WHY: &str = "what is kept of the person whose run asked is being erased";

/// What a call erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    pub approvals: u64,
    /// Something is left.
    pub more: bool,
}

/// A request that is kept of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: ApprovalId,
    /// It is decided, and its events are in the log.
    pub ended: bool,
}

/// What can be erased now, and what is in the way of the rest.
#[derive(Default)]
struct Part {
    requests: Vec<ApprovalId>,
    /// Of these, those that cannot be read: nobody can decide them, and no event can be made of them.
    damaged: Vec<ApprovalId>,
    more: bool,
    stuck: Option<Error>,
}

/// What became of a request that was to end.
enum End {
    Ended,
    Damaged,
    /// Not so that it could be erased: another look is due.
    Changed,
}

impl Authority {
    /// Erases a part of what runs of `subject`, of the admin's tenant, have asked people. What waits is denied first. That a
    /// call was given away is remembered.
    ///
    /// # Errors
    /// Audit or the store does not answer: nothing was erased. Or all that is left cannot be ended, for a reason of its own.
    pub async fn erase_person(&self, admin: &Person, subject: &Subject) -> Result<Erased, Error> {
        let Part {
            requests,
            damaged,
            more,
            stuck,
        } = self.end_requests_of(admin, subject).await?;
        if requests.is_empty() {
            let nothing = Erased { approvals: 0, more };
            return stuck.map_or(Ok(nothing), Err);
        }
        let event = record::erased(admin, subject, requests.len());
        self.parts.trail.record(event).await?;
        let store = &self.parts.store;
        let approvals = store.erase_requests(&admin.tenant, subject, &requests).await?;
        for id in damaged {
            self.announce(Change::gone(&admin.tenant, id));
        }
        let more = more || stuck.is_some();
        Ok(Erased { approvals, more })
    }

    /// Does what erasing has left to do later.
    pub async fn finish_erasing(&self) {
        self.parts.store.finish_erasing().await;
    }

    /// Ends the person's requests, as many as one call erases.
    async fn end_requests_of(&self, admin: &Person, subject: &Subject) -> Result<Part, Error> {
        let mut part = Part::default();
        let mut after = None;
        loop {
            let store = &self.parts.store;
            let kept = store.requests_of(&admin.tenant, subject, after, NAMES).await?;
            let Some(last) = kept.last() else {
                return Ok(part);
            };
            after = Some(last.id);
            for Kept { id, ended } in kept {
                if part.requests.len() == MOST {
                    part.more = true;
                    return Ok(part);
                }
                let end = if ended {
                    Ok(End::Ended)
                } else {
                    self.end(admin, id).await
                };
                match end {
                    Ok(End::Ended) => part.requests.push(id),
                    Ok(End::Damaged) => {
                        part.requests.push(id);
                        part.damaged.push(id);
                    }
                    Ok(End::Changed) => part.more = true,
                    Err(error) if error.concerns_all() => return Err(error),
                    Err(error) => {
                        tracing::warn!(approval = %id, %error, "a request that cannot end is not erased");
                        part.stuck.get_or_insert(error);
                    }
                }
            }
        }
    }

    /// Denies the request if it waits, and sees to it that all about it is in the log.
    async fn end(&self, admin: &Person, id: ApprovalId) -> Result<End, Error> {
        let found = self.parts.store.approval(&admin.tenant, id).await;
        let approval = match found.map_err(Error::from) {
            Ok(Some(approval)) => approval,
            // by another admin, at the same time
            Ok(None) => return Ok(End::Changed),
            Err(error) if error.is_damage() => {
                tracing::warn!(approval = %id, %error, "a request that cannot be read is erased as it is");
                return Ok(End::Damaged);
            }
            Err(error) => return Err(error),
        };
        // Whoever asked may not have been answered yet; first it must be known that they asked.
        let approval = self.make_known(approval).await?;
        let approval = self.expire(approval).await?;
        if approval.effective().is_some() {
            return Ok(End::Ended);
        }
        let clock = &*self.parts.clock;
        let no = Decided {
            decision: Decision::Denied,
            by: Some(admin.subject.clone()),
            own: record::is_own(admin, &approval),
            unattended: false,
            comment: WHY.to_owned(),
            at: clock.now(),
            event: EventId::generate(clock),
            recorded: false,
        };
        let kept = match self.keep(&approval, no).await {
            Err(Error::NotFound(_)) => return Ok(End::Changed),
            kept => kept?,
        };
        // the deadline passed on the way to the store
        let kept = self.expire(kept).await?;
        Ok(match kept.effective() {
            Some(_) => End::Ended,
            None => End::Changed,
        })
    }
}
