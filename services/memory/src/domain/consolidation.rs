//! Keeping what is remembered in order, in the background: what is said twice is linked to its newer saying, what holds no
//! longer to what took its place, and long sessions get a summary, which the agent's own model may write anew. Nothing here
//! erases or rewrites what was saved.

mod attributes;
mod budget;
mod consolidator;
mod facts;
mod model;
mod sentences;
mod summary;
mod words;
mod work;
mod written;

pub(crate) use budget::{Allowance, Cycle};
pub(crate) use consolidator::{Consolidator, ConsolidatorDeps};
pub(crate) use model::{Behind, Former, Keyed, Link, NewSummary, Plan, Segment, Told, Why, Writer};
pub(crate) use work::{Basis, Put, Putting, Taking, Work, Written};
pub(crate) use written::{Summaries, SummariesDeps};
