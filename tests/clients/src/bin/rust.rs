//! The Rust of docs/api.md as a program.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

include!(concat!(env!("OUT_DIR"), "/snippet.rs"));
