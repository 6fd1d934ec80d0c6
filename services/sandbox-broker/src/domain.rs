//! The use cases in plain types: what may run, within which limits, and how a run ends. It reaches the
//! machine only through [`driver::Driver`].

pub mod admission;
pub mod call;
pub mod driver;
pub mod execution;
pub mod language;
pub mod limits;
pub mod proof;
pub mod transfers;
