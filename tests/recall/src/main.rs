//! `harombe-recall`: stores the conversations of a folder of `LoCoMo` files, asks their questions, and prints as one line of
//! JSON how much of the evidence is recalled. It always uses an embedding model; without one it fails.

mod ablation;
mod conversation;
mod figures;
mod folder;
mod model;
mod run;
mod served;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measures recall. Prints exactly one JSON object on one line; everything else goes to standard error.
#[derive(Debug, Parser)]
#[command(name = "harombe-recall", version)]
struct Args {
    /// The folder of the conversations: a JSON file each
    dir: PathBuf,
    /// The folder of the embedding model [default: where `harombe models pull` and the set-up put it]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Also measure what each part of the ranking is worth
    #[arg(long)]
    ablation: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = run::run(&args.dir, args.model, args.ablation).await;
    let printed = outcome.and_then(|line| Ok(writeln!(std::io::stdout(), "{line}")?));
    if let Err(error) = printed {
        let _ = writeln!(std::io::stderr(), "harombe-recall: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
