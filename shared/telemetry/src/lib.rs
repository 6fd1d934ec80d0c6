//! What a process says about itself while it runs: log lines on standard error, panics among them, numbers,
//! and which piece of work they belong to.
//!
//! Standard output belongs to the program's own answers, so that scripts can read them.

pub mod metrics;
mod panics;
mod process;
mod subscriber;
mod trace;

pub use metrics::Metrics;
pub use subscriber::{Format, InvalidFormat};
pub use trace::TraceContext;

use tracing::Dispatch;

/// How a process logs; the program takes these from its configuration, this crate reads no environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub format: Format,
    /// Which lines are kept, in `tracing`'s directives: `"info"`, `"warn,harombe_audit=debug"`.
    pub filter: String,
}

impl Default for Options {
    /// What a person at a terminal wants to see of a program that does its work: nothing but trouble.
    fn default() -> Self {
        Self {
            format: Format::Human,
            filter: "warn".to_owned(),
        }
    }
}

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("log filter {filter:?} cannot be understood; write a level, or TARGET=LEVEL parts with commas")]
    Filter {
        filter: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    #[error("logging is set up already in this process")]
    Twice,
}

/// Sets up logging for the whole process, and has panics logged as well. To be called once, by the program.
///
/// # Errors
/// The filter is not understood, or logging was set up before.
pub fn init(options: &Options) -> Result<(), Error> {
    let subscriber = subscriber::build(options, std::io::stderr)?;
    tracing::dispatcher::set_global_default(Dispatch::new(subscriber)).map_err(|_| Error::Twice)?;
    panics::log_them();
    Ok(())
}
