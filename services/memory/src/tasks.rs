//! Background loops.

mod overdue;

pub(crate) use overdue::Overdue;
