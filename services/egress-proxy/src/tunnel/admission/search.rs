//! The right to ask the search service: a grant for the very query, spent before it is asked.

use std::sync::Arc;

use harombe_types::RunPrincipal;

use super::{Admission, Granted, OwnCall, SEARCH};
use crate::Error;
use crate::config::Search;
use crate::domain::call::SearchCall;
use crate::domain::denial::Denial;
use crate::tunnel::Whom;
use crate::tunnel::record::{Attempt, Record};
use crate::upstream::{Shown, Upstream};

/// A search that may be made now, once.
#[derive(Debug)]
pub(crate) struct SearchAct {
    pub(crate) call: SearchCall,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) kind: Search,
    pub(crate) shown: Shown,
    /// Of what is given back, in bytes.
    pub(crate) max_bytes: u64,
    pub(crate) record: Record,
}

impl Admission {
    /// The upstream that searches, and the shape of its answers.
    pub(super) fn searched(&self) -> Result<(Arc<Upstream>, Search), Denial> {
        let searching = |upstream: &Arc<Upstream>| Some((Arc::clone(upstream), upstream.search?));
        self.upstreams
            .values()
            .find_map(searching)
            .ok_or(Denial::NoSearch)
    }

    pub(super) async fn spend_search(
        &self,
        run: &RunPrincipal,
        granted: &Granted<'_>,
        call: OwnCall,
    ) -> Result<SearchAct, Error> {
        let whom = Whom::from(run);
        let digest = call.0.digest();
        let (attempt, call) = call.into_search()?;
        let (upstream, kind) = match self.searched() {
            Ok(found) => found,
            Err(denial) => {
                self.record_denial(&whom, &attempt, &denial).await?;
                return Err(denial.into());
            }
        };
        // A grant is not spent on a search that cannot be made.
        let shown = self.shown(&whom, &attempt, &upstream).await?;
        let lease = self.redeem(granted, digest.as_ref()).await?;
        Ok(SearchAct {
            call,
            kind,
            shown,
            max_bytes: lease.bytes,
            record: self.ask(&whom, &attempt, &upstream).await?,
            upstream,
        })
    }
}

impl OwnCall {
    pub(super) fn into_search(self) -> Result<(Attempt, SearchCall), Error> {
        let Self(call, id) = self;
        if call.tool() != SEARCH {
            return Err(Error::Tool);
        }
        let search = SearchCall::from_args(call.args().clone()).map_err(Error::Arguments)?;
        Ok((Attempt::search(id, &search.query), search))
    }
}
