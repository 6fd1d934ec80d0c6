//! `harombe-load`: measures one thing for a bounded time and prints one line of JSON, with the raw limit of the same machine
//! in the same run beside it.

mod measure;
mod raw;
mod what;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use what::What;

/// Measures Harombe. Prints exactly one JSON object on one line; everything else goes to standard error.
#[derive(Debug, Parser)]
#[command(name = "harombe-load", version)]
struct Args {
    /// What to measure
    what: What,
    /// For how long, after the warm-up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Callers at a time [default: what the target of the figure says]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: Option<u32>,
    /// Seconds before anything is counted
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// In this process, in a temporary directory; the default
    #[arg(long, conflicts_with = "target")]
    embedded: bool,
    /// The data directory of a server that is running (message, sandbox-run)
    #[arg(long, value_name = "DIR")]
    target: Option<PathBuf>,
    /// Keep the log in this database (audit-append), which must hold none
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    postgres: Option<String>,
}

/// The bounds of one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    warmup: Duration,
    time: Duration,
    concurrency: u32,
    target: Option<PathBuf>,
    postgres: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        warmup: Duration::from_secs(args.warmup),
        time: Duration::from_secs(args.seconds),
        concurrency: args.concurrency.unwrap_or_else(|| args.what.concurrency()),
        target: args.target,
        postgres: args.postgres,
    };
    match measured(args.what, &plan) {
        Ok(line) => match writeln!(std::io::stdout(), "{line}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            // Nothing is left to tell it to when standard error is closed.
            let _ = writeln!(std::io::stderr(), "harombe-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(what: What, plan: &Plan) -> what::Result<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(what.measure(plan))?;
    Ok(report.into_json(what.name(), plan.concurrency))
}
