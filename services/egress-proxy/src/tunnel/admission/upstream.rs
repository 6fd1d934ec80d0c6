//! Who may use which upstream, and the credential that it is shown.

use std::sync::Arc;

use harombe_error::ServiceError as _;
use harombe_types::ServiceName;

use super::Admission;
use crate::Error;
use crate::domain::denial::Denial;
use crate::domain::upstream::Unfit;
use crate::tunnel::Whom;
use crate::tunnel::record::{self, Attempt, Peer, Record};
use crate::upstream::{Shown, Upstream};

impl Admission {
    /// The upstream of that name, if the service may use it; a refusal is recorded.
    pub(crate) async fn permit(
        &self,
        whom: &Whom,
        service: ServiceName,
        name: &str,
    ) -> Result<Arc<Upstream>, Error> {
        let denial = match self.upstreams.get(name) {
            Some(upstream) if upstream.services.contains(&service) => return Ok(Arc::clone(upstream)),
            Some(upstream) => Denial::UpstreamNotPermitted {
                name: upstream.name.clone(),
                service,
            },
            None => Denial::UpstreamUnknown {
                name: name.chars().take(64).collect(),
            },
        };
        self.record_denial(whom, &Attempt::upstream(name), &denial)
            .await?;
        Err(denial.into())
    }

    /// Refuses a request that does not fit its upstream, and records that.
    pub(crate) async fn refuse(&self, whom: &Whom, attempt: &Attempt, unfit: Unfit) -> Error {
        let denial = Denial::Unfit(unfit);
        match self.record_denial(whom, attempt, &denial).await {
            Ok(()) => denial.into(),
            Err(error) => error,
        }
    }

    /// The credential of an upstream as it is now; that it cannot be had is recorded.
    pub(crate) async fn shown(
        &self,
        whom: &Whom,
        attempt: &Attempt,
        upstream: &Upstream,
    ) -> Result<Shown, Error> {
        let shown = upstream.shown(&*self.secrets).await;
        if let Err(error) = &shown {
            self.numbers.uncredentialed();
            tracing::warn!(
                upstream = upstream.name,
                reason = %error.reason(),
                "the credential of an upstream cannot be had"
            );
            let event = Record::uncredentialed(whom, attempt, upstream, error);
            self.trail.record(event).await?;
        }
        shown
    }

    /// Records that an upstream is asked, before it is; gives the record of how that ends.
    pub(crate) async fn ask(
        &self,
        whom: &Whom,
        attempt: &Attempt,
        upstream: &Upstream,
    ) -> Result<Record, Error> {
        self.trail.record(Record::asked(whom, attempt, upstream)).await?;
        self.numbers.allowed();
        let peer = Peer {
            upstream: upstream.name.clone(),
            details: record::destination(upstream),
        };
        Ok(self.begun(whom, attempt.call, peer))
    }
}
