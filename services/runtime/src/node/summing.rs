//! Begins to sum a session up when a run of it has ended. Nobody waits for that, and nothing but memory's summary depends on it.

use std::sync::Arc;

use super::{Node, Parts};
use crate::domain::agent::Agent;
use crate::domain::summing::Summing;
use crate::metrics::Summed;

impl Node {
    /// Sums the session of the token's run up, if its agent's model is to, there is a place for it, and memory wants it.
    pub(super) fn sum_up(&self, agent: Arc<Agent>, token: Arc<str>) {
        let Parts {
            peers,
            clock,
            numbers,
            drain,
            tasks,
            summing,
            ..
        } = self.parts();
        if !agent.sums_up || drain.leaving().is_cancelled() {
            return;
        }
        let Ok(place) = Arc::clone(summing).try_acquire_owned() else {
            // the session's next run comes again
            numbers.summed(Summed::Skipped);
            return;
        };
        let work = Summing {
            agent,
            token,
            memory: peers.memory.clone(),
            numbers: Arc::clone(numbers),
            clock: Arc::clone(clock),
            leaving: drain.leaving().clone(),
        };
        tasks.spawn(async move {
            work.run().await;
            drop(place);
        });
    }
}
