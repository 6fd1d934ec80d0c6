//! What recall and indexing count.

use std::time::Duration;

use harombe_embedding::Purpose;
use harombe_rpc::Metrics;
use harombe_telemetry::metrics::{Counter, Family, Gauge, Histogram, exponential_buckets};

use crate::domain::recall::Means;

type Label = [(&'static str, &'static str); 1];
type Seconds = Family<Label, Histogram, fn() -> Histogram>;

/// Of searches. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct RecallNumbers {
    seconds: Seconds,
    indexes: Family<Label, Counter>,
    index_bytes: Gauge,
}

/// How an owner's word index came to be of use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IndexUse {
    /// It was there as it should be.
    Found,
    /// It was there, and something had changed.
    BroughtUp,
    /// It had to be made.
    Loaded,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 14))
}

impl RecallNumbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            seconds: metrics.metric(
                "harombe_memory_recall_seconds",
                "How long searches of memories took, by how they were done",
                || Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            indexes: metrics.metric(
                "harombe_memory_recall_indexes",
                "Searches by whether the subject's word index was there",
                Family::default,
            ),
            index_bytes: metrics.metric(
                "harombe_memory_recall_index_bytes",
                "Bytes of the word indexes in memory",
                Gauge::default,
            ),
        }
    }

    pub(crate) fn recalled(&self, means: Means, took: Duration) {
        self.seconds
            .get_or_create(&[("means", means.as_str())])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn index_used(&self, index: IndexUse) {
        let index = match index {
            IndexUse::Found => "found",
            IndexUse::BroughtUp => "brought_up",
            IndexUse::Loaded => "loaded",
        };
        self.indexes.get_or_create(&[("index", index)]).inc();
    }

    pub(crate) fn set_index_bytes(&self, bytes: usize) {
        self.index_bytes.set(shown(bytes));
    }
}

/// Of the vectors. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct IndexNumbers {
    usable: Gauge,
    collections: Gauge,
    behind: Gauge,
    outbox: Gauge,
    texts: Family<Label, Counter>,
    bytes: Family<Label, Counter>,
    errors: Family<Label, Counter>,
    given_up: Counter,
    worked_off: Counter,
    reconciled: Family<Label, Counter>,
    faults: Family<Label, Counter>,
}

impl IndexNumbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let family = |name, help| metrics.metric(name, help, Family::default);
        let counter = |name, help| metrics.metric(name, help, Counter::default);
        let gauge = |name, help| metrics.metric(name, help, Gauge::default);
        Self {
            usable: gauge(
                "harombe_memory_embedding_model_usable",
                "Whether there is an embedding model that can be used",
            ),
            collections: gauge(
                "harombe_memory_vector_generations",
                "Models whose vectors are kept: more than one while a changed model's are made",
            ),
            behind: gauge(
                "harombe_memory_index_behind",
                "Whether the vectors are behind the memories, because the last round of indexing failed",
            ),
            outbox: gauge(
                "harombe_memory_index_outbox",
                "Changes of memories that the vectors have not been told of",
            ),
            texts: family(
                "harombe_memory_embedded_texts",
                "Texts that were embedded, by what for",
            ),
            bytes: family(
                "harombe_memory_embedded_bytes",
                "Bytes of texts that were embedded, by what for",
            ),
            errors: family(
                "harombe_memory_embedding_errors",
                "Texts that could not be embedded, in calls, by what for",
            ),
            given_up: counter(
                "harombe_memory_index_given_up",
                "Memories that the model could not take, left to the next start",
            ),
            worked_off: counter(
                "harombe_memory_index_outbox_rows",
                "Changes of memories that the vectors were told of",
            ),
            reconciled: family(
                "harombe_memory_index_reconciled",
                "Memories whose vectors were made or removed because the comparison with the store said so",
            ),
            faults: family(
                "harombe_memory_index_faults",
                "Rounds of indexing that ended early and are tried again, by what failed",
            ),
        }
    }

    pub(crate) fn set_model_usable(&self, usable: bool) {
        self.usable.set(usable.into());
    }

    pub(crate) fn set_collections(&self, generations: usize) {
        self.collections.set(shown(generations));
    }

    /// A round has ended: with everything done, or with what failed.
    pub(crate) fn round(&self, failed: Option<&'static str>) {
        self.behind.set(failed.is_some().into());
        if let Some(what) = failed {
            self.faults.get_or_create(&[("what", what)]).inc();
        }
    }

    pub(crate) fn set_outbox(&self, rows: u64) {
        self.outbox.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    pub(crate) fn embedded(&self, purpose: Purpose, texts: usize, bytes: usize) {
        let purpose = [("purpose", purpose_name(purpose))];
        self.texts.get_or_create(&purpose).inc_by(counted(texts));
        self.bytes.get_or_create(&purpose).inc_by(counted(bytes));
    }

    pub(crate) fn not_embedded(&self, purpose: Purpose) {
        self.errors
            .get_or_create(&[("purpose", purpose_name(purpose))])
            .inc();
    }

    pub(crate) fn given_up(&self) {
        self.given_up.inc();
    }

    pub(crate) fn worked_off(&self, rows: usize) {
        self.worked_off.inc_by(counted(rows));
    }

    pub(crate) fn filled(&self, memories: usize) {
        self.reconciled
            .get_or_create(&[("what", "made")])
            .inc_by(counted(memories));
    }

    pub(crate) fn reconciled_away(&self, points: usize) {
        self.reconciled
            .get_or_create(&[("what", "removed")])
            .inc_by(counted(points));
    }
}

const fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Query => "query",
        Purpose::Passage => "passage",
    }
}

fn counted(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn shown(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
