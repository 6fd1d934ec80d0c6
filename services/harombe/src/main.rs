//! The one program: parses the command line, does what it says, and turns a failure into a line and an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use harombe::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let done = runtime.block_on(cli.run());
    // What a second signal cut short is not waited for.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => {
            fail(&error.report());
            error.exit_code()
        }
    }
}

fn fail(message: &str) -> ExitCode {
    // Nothing is left to tell it to when standard error is closed.
    let _ = writeln!(std::io::stderr(), "harombe: {message}");
    ExitCode::FAILURE
}
