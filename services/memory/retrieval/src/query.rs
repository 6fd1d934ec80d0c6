//! What is asked, and what is answered.

use uuid::Uuid;

use crate::item::{Filter, Item};

/// Nearest passages that [`rank`](crate::rank) wants of each search. From 100 to all of them make no difference beyond 0.3
/// points of recall.
pub const DENSE_DEPTH: u32 = 200;

/// A question to an index.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    /// The question in its own words. What is past 8 KiB of it is not read.
    pub text: &'a str,
    /// When it is asked, in milliseconds since the Unix epoch: "yesterday" is the day before.
    pub now_ms: i64,
    /// Items to answer, at most.
    pub limit: usize,
    pub filter: Filter,
    /// What the vectors found, one for each of [`SEARCHES`](crate::SEARCHES) in its order; empty without vectors.
    pub dense: Vec<DenseView>,
    /// Items of the vectors' that the index does not hold, each once: they are ranked by what they say and how near they are,
    /// without what stands beside them.
    pub beyond: Vec<Item>,
}

/// What one search of the vectors found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DenseView {
    /// Items with their cosine, best first; each once.
    pub hits: Vec<(Uuid, f32)>,
}

/// An item that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub id: Uuid,
    /// Higher is better; only comparable within one answer.
    pub score: f64,
    /// What the score is made of: the contributions add up to it.
    pub parts: Vec<Part>,
}

/// What one feature adds to a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// A name of docs/memory.md.
    pub feature: &'static str,
    /// What was measured.
    pub value: f64,
    /// What it adds to the score.
    pub contribution: f64,
}
