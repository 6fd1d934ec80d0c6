//! Finding what was said: the words of one owner's memories in memory, and how what is found is ranked.
//!
//! Nothing here reads a file, a socket or a clock, and the same memories and the same question always give the same
//! answer. Reading order: [`Item`], [`Index`], [`Query`], [`rank`]; docs/memory.md says what each feature is for.

mod analysis;
mod bm25;
mod feature;
mod index;
mod item;
mod participants;
mod passages;
mod query;
mod ranking;
mod times;
mod traits;

pub use analysis::terms;
pub use feature::{Ablation, Feature};
pub use index::Index;
pub use item::{Filter, Item, Kind};
pub use passages::{Passages, SEARCHES, Search, VIEWS};
pub use query::{DENSE_DEPTH, DenseView, Part, Query, Ranked};
pub use ranking::{rank, rank_with};
