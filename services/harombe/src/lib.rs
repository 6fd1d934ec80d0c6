//! The one program: puts the services together, and is a client of what it put together.

pub mod attach;
pub mod cli;
pub mod compose;
pub mod terminal;
