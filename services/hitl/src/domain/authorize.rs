//! May this call be made? Granted at once, or a person is asked.

use harombe_canonical::CanonicalCall;
use harombe_grant::audience_for;
use harombe_types::{ApprovalId, CallId, EventId, Risk, RunPrincipal};

use super::authority::Authority;
use super::{Added, Approval, Change, record};
use crate::Error;
use crate::store::Mark;

/// The longest call, in bytes: with what surrounds it, it must fit into one message to an approver.
const MAX_CALL: usize = 3 << 20;

/// The answer to a call.
#[derive(Clone, Debug)]
pub struct Authorized {
    pub risk: Risk,
    /// One sentence each, gravest first.
    pub reasons: Vec<String>,
    pub outcome: Outcome,
}

/// What the asker may do now.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Act, with this signed grant.
    Granted(String),
    /// Wait for this request's decision, which may already be there.
    Pending(Box<Approval>),
    /// Nothing: the call was given away before, and what became of it is not known here.
    AlreadyRedeemed,
}

impl Authority {
    /// Classifies the canonical call `document` of `run`. The same call id answers the same.
    ///
    /// # Errors
    /// [`Error::CallInvalid`], [`Error::CallMismatch`] when the call is another run's or an other one than was asked
    /// for under this id, [`Error::ToolUnknown`], [`Error::Limit`], [`Error::TooManyPending`] when a person would have to be
    /// asked, or the store or audit cannot be written.
    pub async fn authorize(
        &self,
        run: &RunPrincipal,
        document: &[u8],
        claimed: Option<Risk>,
    ) -> Result<Authorized, Error> {
        let (id, call) = self.performable(run, document)?;
        let mut verdict = self.parts.rules.classify(call.tool(), call.args());
        if let Some(claimed) = claimed {
            verdict = verdict.claimed_by_model(claimed);
        }
        let answer = |outcome| match outcome {
            // As it was rated when it was asked for.
            Outcome::Pending(approval) => Authorized {
                risk: approval.risk,
                reasons: approval.reasons.clone(),
                outcome: Outcome::Pending(approval),
            },
            outcome => Authorized {
                risk: verdict.risk(),
                reasons: verdict.reasons().into_iter().map(str::to_owned).collect(),
                outcome,
            },
        };
        if let Some(outcome) = self.answered_before(run, id, &call).await? {
            return Ok(answer(outcome));
        }
        if verdict.risk() == Risk::Low {
            let grant = self.grant_at_once(run, &call).await?;
            return Ok(answer(Outcome::Granted(grant)));
        }
        let clock = &*self.parts.clock;
        let now = clock.now();
        let approval = Approval {
            id: ApprovalId::generate(clock),
            run: run.clone(),
            call,
            risk: verdict.risk(),
            reasons: verdict.reasons().into_iter().map(str::to_owned).collect(),
            policy_version: self.parts.rules.version().to_owned(),
            requested_at: now,
            deadline: now.plus(verdict.deadline()),
            event: EventId::generate(clock),
            recorded: false,
            decided: None,
        };
        let kept = self.ask(approval).await?;
        Ok(answer(Outcome::Pending(Box::new(kept))))
    }

    /// The call in `document`, if it is the run's and there is somebody who performs such.
    fn performable(&self, run: &RunPrincipal, document: &[u8]) -> Result<(CallId, CanonicalCall), Error> {
        if document.len() > MAX_CALL {
            return Err(Error::Limit {
                what: "call in bytes",
                most: MAX_CALL as u64,
            });
        }
        let call = CanonicalCall::parse(document).map_err(Error::CallInvalid)?;
        let id = belongs(run, &call)?;
        // What nobody can perform, nobody shall be asked about.
        audience_for(call.tool()).ok_or(Error::ToolUnknown)?;
        self.parts.limits.for_call(&call)?;
        Ok((id, call))
    }

    async fn grant_at_once(&self, run: &RunPrincipal, call: &CanonicalCall) -> Result<String, Error> {
        let grant = self.grant(run, call, self.parts.rules.version(), Vec::new())?;
        let signed = self.parts.signer.grant(&grant)?;
        self.parts
            .trail
            .record(record::authorized(run, &grant, Risk::Low, call))
            .await?;
        Ok(signed)
    }

    /// Keeps the request, then records it, then lets it be known. Two that ask for the same call find one request.
    async fn ask(&self, approval: Approval) -> Result<Approval, Error> {
        let (id, asked) = (approval.id, approval.call.digest());
        let most = self.parts.pending;
        let kept = match self.parts.store.add_approval(approval, most).await? {
            Added::Kept(kept) => *kept,
            Added::Full(whose) => {
                self.parts.numbers.not_opened(whose);
                return Err(Error::TooManyPending {
                    whose,
                    most: most.of(whose),
                });
            }
        };
        if kept.call.digest() != asked {
            return Err(Error::CallMismatch("call with this id"));
        }
        if kept.id == id {
            self.parts.numbers.opened(kept.risk);
        }
        self.make_known(kept).await
    }

    /// Records a kept request, unless that has been done.
    pub(super) async fn make_known(&self, mut approval: Approval) -> Result<Approval, Error> {
        if !approval.recorded {
            self.parts.trail.record(record::requested(&approval)).await?;
            self.parts.store.mark(vec![Mark::Request(approval.id)]).await?;
            approval.recorded = true;
            self.announce(Change::of(&approval));
        }
        Ok(approval)
    }

    async fn answered_before(
        &self,
        run: &RunPrincipal,
        id: CallId,
        call: &CanonicalCall,
    ) -> Result<Option<Outcome>, Error> {
        let store = &self.parts.store;
        let (redeemed, asked) = tokio::try_join!(
            store.redemption(&run.tenant, run.run, id),
            store.approval_of(&run.tenant, run.run, id)
        )?;
        let same = |digest: &[u8; 32]| digest == call.digest().as_bytes();
        match (redeemed, asked) {
            (Some(redemption), _) if !same(&redemption.digest) => {
                Err(Error::CallMismatch("call with this id"))
            }
            (None, Some(kept)) if kept.call.digest() != call.digest() => {
                Err(Error::CallMismatch("call with this id"))
            }
            (Some(_), _) => Ok(Some(Outcome::AlreadyRedeemed)),
            (None, Some(kept)) => Ok(Some(Outcome::Pending(Box::new(self.make_known(kept).await?)))),
            (None, None) => Ok(None),
        }
    }
}

/// The call's id, if the call is the run's own.
fn belongs(run: &RunPrincipal, call: &CanonicalCall) -> Result<CallId, Error> {
    let same = |what, same: bool| {
        if same {
            Ok(())
        } else {
            Err(Error::CallMismatch(what))
        }
    };
    same("tenant", call.tenant() == run.tenant.as_str())?;
    same("agent", call.agent() == run.agent.as_str())?;
    same("run", call.run() == run.run.to_string())?;
    Ok(call.call().parse()?)
}
