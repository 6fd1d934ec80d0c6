//! The services that memory calls.

mod egress;

pub(crate) use egress::Egress;
