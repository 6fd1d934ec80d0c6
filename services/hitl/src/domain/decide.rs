//! A person decides, or the deadline does.

use harombe_types::{ApprovalId, EventId, Person};

use super::authority::Authority;
use super::{Approval, Change, Decided, Decision, record};
use crate::Error;
use crate::store::Mark;

/// Longest comment, in bytes.
const MAX_COMMENT: usize = 1024;

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub approve: bool,
    /// Said by a program with nobody watching.
    pub unattended: bool,
    pub comment: String,
}

impl Authority {
    /// Decides a request. The same decision again answers the same.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OwnRun`]; [`Error::AlreadyDecided`]; [`Error::ApprovalExpired`] after the
    /// deadline; or the store or audit cannot be written, in which case the decision may still take effect later.
    pub async fn decide(&self, person: &Person, id: ApprovalId, choice: Choice) -> Result<Approval, Error> {
        if choice.comment.len() > MAX_COMMENT {
            return Err(Error::Limit {
                what: "comment in bytes",
                most: MAX_COMMENT as u64,
            });
        }
        let found = self.known(&person.tenant, id).await?;
        let approval = found.ok_or(Error::NotFound("approval"))?;
        let own = record::is_own(person, &approval);
        if own && !person.allow_self {
            return Err(Error::OwnRun);
        }
        let wanted = if choice.approve {
            Decision::Approved
        } else {
            Decision::Denied
        };
        let kept = if self.is_open(&approval) {
            let decided = Decided {
                decision: wanted,
                by: Some(person.subject.clone()),
                own,
                unattended: choice.unattended,
                comment: choice.comment,
                at: self.parts.clock.now(),
                event: EventId::generate(&*self.parts.clock),
                recorded: false,
            };
            let kept = self.keep(&approval, decided).await?;
            // the deadline passed on the way to the store
            self.expire(kept).await?
        } else {
            self.expire(approval).await?
        };
        match kept.decided.as_ref().map(|decided| decided.decision) {
            Some(decision) if decision == wanted => Ok(kept),
            Some(Decision::Expired) | None => Err(Error::ApprovalExpired),
            Some(_) => Err(Error::AlreadyDecided),
        }
    }

    /// The request after its deadline has been looked at: an undecided one whose time is over is expired.
    pub(super) async fn expire(&self, approval: Approval) -> Result<Approval, Error> {
        if approval.decided.is_some() {
            return self.settle(approval).await;
        }
        if self.is_open(&approval) {
            return Ok(approval);
        }
        let decided = Decided {
            decision: Decision::Expired,
            by: None,
            own: false,
            unattended: false,
            comment: String::new(),
            at: self.parts.clock.now(),
            event: EventId::generate(&*self.parts.clock),
            recorded: false,
        };
        self.keep(&approval, decided).await
    }

    /// Keeps a decision, unless there is one or it comes too late, and settles the one that is kept.
    pub(super) async fn keep(&self, approval: &Approval, decided: Decided) -> Result<Approval, Error> {
        let event = decided.event;
        let kept = self
            .parts
            .store
            .decide(approval.tenant(), approval.id, decided, &self.parts.clock)
            .await?
            .ok_or(Error::NotFound("approval"))?;
        // Whoever asks at the same time finds the other's.
        if let Some(decided) = kept.decided.as_ref().filter(|kept| kept.event == event) {
            self.parts.numbers.decided(decided);
        }
        self.settle(kept).await
    }

    /// Records a kept decision, unless that has been done; only then does it exist for anyone.
    pub(super) async fn settle(&self, mut approval: Approval) -> Result<Approval, Error> {
        let Some(decided) = approval.decided.as_ref().filter(|decided| !decided.recorded) else {
            return Ok(approval);
        };
        self.parts
            .trail
            .record(record::decided(&approval, decided))
            .await?;
        self.parts.store.mark(vec![Mark::Decision(approval.id)]).await?;
        if let Some(decided) = &mut approval.decided {
            decided.recorded = true;
        }
        self.announce(Change::of(&approval));
        Ok(approval)
    }

    fn is_open(&self, approval: &Approval) -> bool {
        approval.decided.is_none() && approval.deadline > self.parts.clock.now()
    }
}

#[cfg(test)]
mod tests;
