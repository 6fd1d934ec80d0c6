//! Puts together what keeps memories in order.

use std::sync::Arc;

use uuid::Uuid;

use super::Deps;
use crate::Config;
use crate::domain::Memories;
use crate::domain::consolidation::{Consolidator, ConsolidatorDeps};
use crate::metrics::ConsolidationNumbers;
use crate::store::{Consolidations, MemoryStore};
use crate::tasks::Consolidate;

/// All that it needs but the memories' use cases.
pub(super) struct Consolidation(Box<dyn FnOnce(Memories) -> Consolidate + Send>);

impl Consolidation {
    /// `None` where it is turned off.
    pub(super) fn new(
        config: &Config,
        deps: &Deps,
        store: &Arc<dyn MemoryStore>,
        consolidations: Arc<dyn Consolidations>,
    ) -> Option<Self> {
        let numbers = ConsolidationNumbers::new(&deps.metrics);
        let (store, clock) = (Arc::clone(store), Arc::clone(&deps.clock));
        let (most, allowance) = ((&config.limits).into(), (&config.consolidation).into());
        let every = config.consolidation.every.as_duration();
        let made = move |memories| Consolidate {
            consolidator: Consolidator::new(ConsolidatorDeps {
                store,
                consolidations,
                memories,
                clock,
                most,
                allowance,
                numbers,
                holder: Uuid::now_v7(),
            }),
            every,
        };
        config.consolidation.enabled.then(|| Self(Box::new(made)))
    }

    pub(super) fn of(self, memories: &Memories) -> Consolidate {
        self.0(memories.clone())
    }
}
