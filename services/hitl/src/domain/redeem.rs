//! Spends a grant: once per (tenant, run, call), whoever asks, however often.

use std::time::Duration;

use harombe_error::ServiceError as _;
use harombe_grant::{Grant, Lease};
use harombe_trail::{Event, Kind};
use harombe_types::{EventId, LeaseId, Principal, ServiceName, Tenant};

use super::authority::Authority;
use super::redemption::run_of;
use super::{Redemption, record};
use crate::Error;
use crate::store::Mark;

/// What an act may take beyond its own time limit: starting, stopping, reporting.
const ALLOWANCE: Duration = Duration::from_secs(30);

impl Authority {
    /// Spends the signed `grant` for the call with `digest`; returns the signed lease under which `redeemer` acts.
    ///
    /// # Errors
    /// The grant is not honoured, see [`harombe_grant::Error`]; [`Error::CallMismatch`]; [`Error::Redeemed`]; each is
    /// recorded before it is returned. Or the store or audit cannot be written: then the grant may be spent without
    /// anything having been done.
    pub async fn redeem(&self, redeemer: ServiceName, grant: &str, digest: &[u8]) -> Result<String, Error> {
        let now = self.parts.clock.now();
        let verified = self
            .parts
            .verifier
            .grant(grant, redeemer, now)
            .map_err(Error::from);
        let checked = match verified {
            Ok(grant) if grant.digest.as_slice() == digest => Ok(grant),
            Ok(grant) => Err((Error::CallMismatch("digest"), Some(grant))),
            Err(error) => Err((error, None)),
        };
        let (error, grant) = match checked {
            Err(refused) => refused,
            Ok(grant) => {
                if self.spend(&grant).await? {
                    return self.lease(&grant);
                }
                (Error::Redeemed, Some(grant))
            }
        };
        self.parts.numbers.refused(error.reason());
        let event = refusal_event(grant.as_ref(), self.parts.trail.operator());
        let event = record::refused(event, redeemer, error.reason().as_str(), grant.as_ref());
        self.parts.trail.record(event).await?;
        Err(error)
    }

    /// Whether this was the first time.
    async fn spend(&self, grant: &Grant) -> Result<bool, Error> {
        let clock = &*self.parts.clock;
        let redemption = Redemption::of(grant, clock.now(), EventId::generate(clock));
        let kept = self.parts.store.redeem(redemption.clone()).await?;
        if kept != redemption {
            return Ok(false);
        }
        self.parts.numbers.redeemed();
        self.parts.trail.record(record::redeemed(&kept)).await?;
        // A lost mark costs one more append of the same event after a restart.
        let mark = Mark::Redemption(kept.run.tenant, kept.run.run, kept.call);
        let _ = self.parts.marks.try_send(mark);
        Ok(true)
    }

    fn lease(&self, grant: &Grant) -> Result<String, Error> {
        let clock = &*self.parts.clock;
        let time = grant
            .limits
            .time_ms
            .map_or(self.parts.limits.time, Duration::from_millis);
        let lease = Lease {
            id: LeaseId::generate(clock),
            grant: grant.id,
            redeemer: grant.audience,
            expires: clock.now().plus(time + ALLOWANCE),
            connections: grant.limits.connections.unwrap_or(0),
            bytes: grant.limits.transfer_bytes.unwrap_or(0),
            destinations: grant.destinations.clone(),
            tenant: grant.tenant.clone(),
            run: grant.run,
            call: grant.call,
        };
        Ok(self.parts.signer.lease(&lease)?)
    }
}

/// A grant that is not ours names no tenant that could be believed: its refusal is in the operator's log.
fn refusal_event(grant: Option<&Grant>, operator: &Tenant) -> Event {
    match grant {
        Some(grant) => Event::new(Kind::GrantRefused, &grant.tenant)
            .principal(&Principal::Run(run_of(grant)))
            .call(grant.call)
            .policy_version(grant.policy_version.as_str()),
        None => Event::new(Kind::GrantRefused, operator),
    }
}
