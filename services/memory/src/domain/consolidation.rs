//! Keeping what is remembered in order, in the background: what is said twice is linked to its newer saying, what holds no
//! longer to what took its place, and long sessions get a summary. Nothing here erases or rewrites what was saved.

mod attributes;
mod budget;
mod consolidator;
mod facts;
mod model;
mod sentences;
mod summary;
mod words;

pub(crate) use budget::{Allowance, Cycle};
pub(crate) use consolidator::{Consolidator, ConsolidatorDeps};
pub(crate) use model::{Behind, Former, Keyed, Link, NewSummary, Plan, Segment, Told, Why};
