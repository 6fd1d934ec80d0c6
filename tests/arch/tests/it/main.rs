//! What the tree must look like: who may call whom, which room may use what, what must be documented.

mod contracts;
mod crates;
mod pages;
mod rooms;
mod tree;
