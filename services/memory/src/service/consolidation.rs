//! Puts together what keeps memories in order.

use std::sync::Arc;

use harombe_types::Clock;
use uuid::Uuid;

use super::Deps;
use crate::domain::consolidation::{Consolidator, ConsolidatorDeps, Summaries, SummariesDeps};
use crate::domain::{Memories, MemoryLimits};
use crate::metrics::ConsolidationNumbers;
use crate::store::{Consolidations, MemoryStore};
use crate::tasks::Consolidate;
use crate::{Config, ConsolidationConfig};

/// All that it needs but the memories' use cases.
pub(super) struct Consolidation {
    store: Arc<dyn MemoryStore>,
    consolidations: Arc<dyn Consolidations>,
    clock: Arc<dyn Clock>,
    most: MemoryLimits,
    config: ConsolidationConfig,
    numbers: ConsolidationNumbers,
}

impl Consolidation {
    pub(super) fn new(
        config: &Config,
        deps: &Deps,
        store: &Arc<dyn MemoryStore>,
        consolidations: Arc<dyn Consolidations>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            consolidations,
            clock: Arc::clone(&deps.clock),
            most: (&config.limits).into(),
            config: config.consolidation.clone(),
            numbers: ConsolidationNumbers::new(&deps.metrics),
        }
    }

    /// What models are given to sum up.
    pub(super) fn summaries(&self, memories: &Memories) -> Summaries {
        Summaries::new(SummariesDeps {
            consolidations: Arc::clone(&self.consolidations),
            memories: memories.clone(),
            clock: Arc::clone(&self.clock),
            most: self.most,
            numbers: self.numbers.clone(),
            enabled: self.config.enabled,
        })
    }

    /// What goes on in the background; `None` where it is turned off.
    pub(super) fn task(self, memories: &Memories) -> Option<Consolidate> {
        let every = self.config.every.as_duration();
        let deps = ConsolidatorDeps {
            store: self.store,
            consolidations: self.consolidations,
            memories: memories.clone(),
            clock: self.clock,
            most: self.most,
            allowance: (&self.config).into(),
            numbers: self.numbers,
            holder: Uuid::now_v7(),
        };
        self.config.enabled.then(|| Consolidate {
            consolidator: Consolidator::new(deps),
            every,
        })
    }
}
