//! The wire contracts as Rust: what `build.rs` generates from `proto/`, and nothing written by hand.

#[expect(
    unreachable_pub,
    unused_qualifications,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
}

pub use generated::google;
pub use generated::harombe::{agent, audit, egress, hitl, memory, options, runtime, sandbox, types};

/// The compiled descriptors of every file, method and field options included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The same with the comments that our protos have above methods, messages and fields, for whoever shows them to people.
pub const DOCUMENTED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/documented.bin"));
