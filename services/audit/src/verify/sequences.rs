//! The two sequences in each leaf: the log's count for the tenant, which must have no gap, and the writing process's own
//! count, which may arrive out of order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Unaccounted;
use crate::domain::Leaf;

/// What is known of all sequences so far.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    tenants: HashMap<String, u64>,
    instances: BTreeMap<(String, String), Instance>,
}

#[derive(Debug, Default)]
struct Instance {
    /// Every number up to this one was seen.
    complete: u64,
    /// Numbers seen beyond it.
    ahead: BTreeSet<u64>,
    repeated: u64,
}

impl Sequences {
    /// The number that the tenant's next entry must have.
    pub(super) fn expected(&self, tenant: &str) -> u64 {
        self.tenants.get(tenant).copied().unwrap_or(0) + 1
    }

    /// The last number of each tenant.
    pub(super) fn tenants(&self) -> &HashMap<String, u64> {
        &self.tenants
    }

    pub(super) fn count(&mut self, leaf: &Leaf) {
        self.tenants.insert(leaf.tenant.clone(), leaf.tenant_seq);
        let writer = (leaf.service.clone(), leaf.instance.clone());
        self.instances.entry(writer).or_default().count(leaf.instance_seq);
    }

    /// Every instance whose numbers are not exactly 1 to its highest.
    pub(super) fn unaccounted(self) -> Vec<Unaccounted> {
        let faults = self
            .instances
            .into_iter()
            .filter_map(|((service, instance), seen)| {
                let last = seen.ahead.last().copied().unwrap_or(seen.complete);
                let missing = last - seen.complete - seen.ahead.len() as u64;
                let first = (missing > 0).then_some(seen.complete + 1);
                let repeated = seen.repeated;
                (missing + repeated > 0).then_some(Unaccounted {
                    service,
                    instance,
                    missing,
                    first,
                    repeated,
                })
            });
        faults.collect()
    }
}

impl Instance {
    fn count(&mut self, number: u64) {
        if number <= self.complete || !self.ahead.insert(number) {
            self.repeated += 1;
            return;
        }
        while self.ahead.remove(&(self.complete + 1)) {
            self.complete += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(numbers: &[u64]) -> (u64, Option<u64>, u64) {
        let mut instance = Instance::default();
        numbers.iter().for_each(|number| instance.count(*number));
        let instances = BTreeMap::from([(("s".to_owned(), "i".to_owned()), instance)]);
        let faults = Sequences {
            instances,
            ..Sequences::default()
        }
        .unaccounted();
        faults
            .first()
            .map_or((0, None, 0), |fault| (fault.missing, fault.first, fault.repeated))
    }

    #[test]
    fn order_does_not_matter_and_gaps_do() {
        assert_eq!(count(&[]), (0, None, 0));
        assert_eq!(count(&[1, 2, 3]), (0, None, 0));
        assert_eq!(count(&[3, 1, 2]), (0, None, 0));
        assert_eq!(count(&[1, 4, 6]), (3, Some(2), 0));
        assert_eq!(count(&[2, 3]), (1, Some(1), 0));
        assert_eq!(count(&[1, 2, 2, 1, 5, 5]), (2, Some(3), 3));
    }
}
