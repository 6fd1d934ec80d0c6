//! Finds the rules for a name without looking at every rule.

use std::collections::HashMap;

use crate::domain::host::DnsName;
use crate::domain::pattern::HostPattern;
use crate::domain::policy::{Rule, parents};

/// Positions of rules, filed by the name their pattern is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    exact: HashMap<DnsName, Vec<usize>>,
    one_label: HashMap<String, Vec<usize>>,
    any_depth: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (position, rule) in rules.iter().enumerate() {
            let positions = match rule.pattern() {
                Some(HostPattern::Exact(name)) => index.exact.entry(name.clone()).or_default(),
                Some(HostPattern::OneLabel(base)) => index.one_label.entry(base.to_string()).or_default(),
                Some(HostPattern::AnyDepth(base)) => index.any_depth.entry(base.to_string()).or_default(),
                None => continue,
            };
            positions.push(position);
        }
        index
    }

    /// Positions of all rules whose pattern matches `name`, in no order.
    pub(super) fn positions(&self, name: &DnsName) -> Vec<usize> {
        let mut found = Vec::new();
        found.extend(self.exact.get(name).into_iter().flatten());
        found.extend(
            parents(name)
                .next()
                .and_then(|parent| self.one_label.get(parent))
                .into_iter()
                .flatten(),
        );
        found.extend(
            parents(name)
                .filter_map(|ancestor| self.any_depth.get(ancestor))
                .flatten(),
        );
        found
    }
}
