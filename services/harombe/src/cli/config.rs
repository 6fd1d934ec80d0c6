//! `harombe config`: what is set, whether it can be, and what could be.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use harombe_telemetry::Options;

use super::Error;
use crate::attach::Place;
use crate::compose::Config;

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Command {
    /// Show the whole configuration as it comes out of defaults, file and environment
    Print,
    /// Tell all faults of the file and the environment at once
    Check,
    /// Show every key with what it means, as a JSON Schema
    Schema,
}

pub(super) fn run(place: &Place, command: Command) -> Result<ExitCode, Error> {
    let load = || Config::load(place.config.as_deref());
    let mut out = std::io::stdout().lock();
    match command {
        Command::Print => write!(out, "{}", load()?.to_toml()?)?,
        Command::Check => {
            harombe_telemetry::init(&load()?.log.options(Options::default())?)?;
            writeln!(out, "the configuration has no faults")?;
        }
        Command::Schema => {
            let schema = harombe_config::schema::<Config>();
            writeln!(out, "{:#}", schema.as_value())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
