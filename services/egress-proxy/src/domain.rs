//! What may leave and what may not, in plain types: no socket, no clock, no file.

pub mod address;
pub mod authority;
pub mod call;
pub mod clean;
pub mod decision;
pub mod denial;
pub mod headers;
pub mod host;
pub mod mask;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod reserved;
pub mod resolver;
pub mod search;
pub mod target;
pub mod upstream;
