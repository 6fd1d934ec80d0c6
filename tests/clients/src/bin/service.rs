//! The program that is shipped, under a name that the tests of this package can find.

use std::process::ExitCode;

use clap::Parser as _;
use harombe::cli::Cli;

#[tokio::main]
async fn main() -> Result<ExitCode, harombe::cli::Error> {
    Cli::parse().run().await
}
