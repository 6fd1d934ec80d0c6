//! Background loops.

mod collect;
mod consolidate;
mod erase;
mod index;
mod overdue;
mod peering;
mod tidy;

pub(crate) use collect::Collect;
pub(crate) use consolidate::Consolidate;
pub(crate) use erase::Erase;
pub(crate) use index::Index;
pub(crate) use overdue::Overdue;
pub(crate) use peering::Peering;
pub(crate) use tidy::Tidy;
