//! The embedder from outside: on the real model, from altered folders, and on an upstream that misbehaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod cache;
mod folder;
mod local;
mod setup;
mod upstream;
