//! Background loops.

mod overdue;
mod peering;

pub(crate) use overdue::Overdue;
pub(crate) use peering::Peering;
