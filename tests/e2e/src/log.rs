//! The audit log after the fact: verified from its files, and read back to be compared with what was done.

use harombe_audit::files::{Filter, Leaf, Source, query};
use harombe_audit::verify::{Known, Report, verify_with};

/// An entry with its details opened.
#[derive(Clone, Debug)]
pub struct Record {
    pub leaf: Leaf,
    pub details: String,
}

/// A verified log.
#[derive(Clone, Debug)]
pub struct Log {
    pub report: Report,
    pub records: Vec<Record>,
}

impl Log {
    /// Reads the log in that directory, or on that server.
    ///
    /// # Panics
    /// When it does not verify: no test is content with such a log.
    #[expect(
        clippy::expect_used,
        reason = "a test's log: without it there is nothing to compare"
    )]
    pub async fn verified(source: impl Into<Source<'_>>) -> Self {
        let (source, known) = (source.into(), Known::default());
        let report = verify_with(source, known).await.expect("the log verifies");
        let mut records = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let (entries, more) = query(source, &Filter::default(), from, 1000)
                .await
                .expect("the log can be read");
            records.extend(entries.into_iter().map(|entry| Record {
                leaf: Leaf::decode(&entry.leaf).expect("a leaf"),
                details: entry.details,
            }));
            next = more;
        }
        assert_eq!(records.len() as u64, report.entries, "every entry is read");
        Self { report, records }
    }

    /// The entries of that kind, in order.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.leaf.kind == kind)
    }

    /// How many entries of that kind there are.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.of(kind).count()
    }

    /// The kinds of the entries of a call, in order.
    #[must_use]
    pub fn of_call(&self, call: &str) -> Vec<&str> {
        let records = self.records.iter().filter(|record| record.leaf.call == call);
        records.map(|record| record.leaf.kind.as_str()).collect()
    }

    /// That every act was allowed, spent its grant, began and ended, in this order and once.
    ///
    /// # Panics
    /// When one was not.
    pub fn assert_acts_in_order(&self) {
        for started in self.of("exec.started") {
            let kinds = self.of_call(&started.leaf.call);
            let acts: Vec<_> = kinds
                .iter()
                .copied()
                .skip_while(|kind| *kind != "call.authorized")
                .filter(|kind| !["call.authorized", "grant.refused"].contains(kind))
                .collect();
            assert_eq!(
                acts,
                ["grant.redeemed", "exec.started", "exec.finished"],
                "the entries of call {}: {kinds:?}",
                started.leaf.call
            );
        }
    }

    /// That nothing is missing: every number that a writer gave is there, every act ended, every run too.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_complete(&self) {
        assert_eq!(self.report.unaccounted, Vec::new());
        self.assert_acts_in_order();
        assert_eq!(self.count("exec.started"), self.count("exec.finished"));
    }
}
