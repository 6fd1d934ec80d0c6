//! What hitl decides, in plain types: no transport, no storage, no clock of its own.

pub mod risk;
