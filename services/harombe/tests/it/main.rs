//! The program as its users have it: started, spoken to, killed, and given what it cannot use.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod backends;
mod bad_input;
mod bad_models;
mod chat;
mod cluster;
mod config;
mod demo;
mod harness;
mod log;
mod memory;
mod models;
mod people;
mod readme;
mod reconnect;
mod sandbox;
mod secrets;
mod serve;
mod terminal;
mod up;
mod vault;
