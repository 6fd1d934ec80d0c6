//! What a query asks for.

use super::Leaf;

/// Conditions that must all hold; an empty one asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `None` only for an operator who reads the files directly.
    pub tenant: Option<String>,
    pub kind: Option<String>,
    pub run: Option<String>,
    pub session: Option<String>,
    pub call: Option<String>,
    pub service: Option<String>,
    /// Milliseconds since the epoch, inclusive.
    pub since: Option<i64>,
    /// Milliseconds since the epoch, exclusive.
    pub until: Option<i64>,
}

impl Filter {
    /// Whether a leaf fulfils every condition.
    pub fn matches(&self, leaf: &Leaf) -> bool {
        let same =
            |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|text| text == actual);
        same(&self.tenant, &leaf.tenant)
            && same(&self.kind, &leaf.kind)
            && same(&self.run, &leaf.run)
            && same(&self.session, &leaf.session)
            && same(&self.call, &leaf.call)
            && same(&self.service, &leaf.service)
            && self.in_time(leaf)
    }

    fn in_time(&self, leaf: &Leaf) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        leaf.millis().is_some_and(|time| {
            self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
        })
    }
}
