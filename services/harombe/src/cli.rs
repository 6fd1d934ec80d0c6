//! The command line: what there is to say, and who does it.

mod approvals;
mod audit;
mod chat;
mod config;
mod conversation;
mod demo;
mod doctor;
mod error;
mod following;
mod keys;
mod memory;
mod models;
mod moments;
mod people;
mod pki;
mod run;
mod sandbox;
mod secrets;
mod serve;
mod signals;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use http::Uri;

pub use error::Error;

use crate::attach::{Elsewhere, Place};
use crate::compose::ModelSource;

/// Runs LLM agents that can be held to account: approved, sandboxed, filtered, recorded.
#[derive(Debug, Parser)]
#[command(name = "harombe", version, arg_required_else_help = true)]
pub struct Cli {
    /// Data directory [default: $XDG_DATA_HOME/harombe or ~/.local/share/harombe]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file (TOML); without one everything has its default
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Work on the server at this address, such as https://harombe.example.org:7400
    #[arg(long, global = true, value_name = "URL")]
    server: Option<Uri>,
    /// File with the API key to show to that server
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with the CA of that server's certificate (PEM) [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all services in this process until interrupted
    Up {
        /// The model behind the default agent: scripted:FILE
        #[arg(long, value_name = "MODEL")]
        model: Option<ModelSource>,
    },
    /// Run one service in this process until interrupted
    Serve(serve::Args),
    /// Make certificates for services that are processes of their own
    #[command(subcommand)]
    Pki(pki::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Talk to an agent at the terminal, or over a pipe
    Chat(chat::Args),
    /// Send one message and show what happens
    Run(run::Args),
    /// Decide what agents may do
    #[command(subcommand)]
    Approvals(approvals::Command),
    /// Make, show and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Erase what is kept of a person
    #[command(subcommand)]
    People(people::Command),
    /// Keep credentials for the world outside
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Get and check the embedding models of memory
    #[command(subcommand)]
    Models(models::Command),
    /// See, save and forget what is remembered of you
    #[command(subcommand)]
    Memory(memory::Command),
    /// Read and check the log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Run code of your own in a sandbox
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// The main job in a minute, on real parts, with a scripted model
    Demo(demo::Args),
    /// Check that this machine can run it all
    Doctor,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Whatever kept it from being done, in words for the person who typed it.
    pub async fn run(self) -> Result<ExitCode, Error> {
        let server = match (self.server, self.key_file, self.ca) {
            (Some(url), key_file, ca) => Some(Elsewhere { url, key_file, ca }),
            (None, None, None) => None,
            (None, _, _) => {
                let text = "--key-file and --ca are for a server; name it with --server URL";
                return Err(Error::Usage(text.to_owned()));
            }
        };
        let place = Place {
            data: self.data,
            config: self.config,
            server,
        };
        match self.command {
            Command::Up { model } => up::run(place, model).await,
            Command::Serve(args) => serve::run(place, args).await,
            Command::Pki(command) => pki::run(command),
            Command::Config(command) => config::run(&place, command),
            Command::Chat(args) => chat::run(place, args).await,
            Command::Run(args) => run::run(place, args).await,
            Command::Approvals(command) => approvals::run(place, command).await,
            Command::Keys(command) => keys::run(place, command).await,
            Command::People(command) => people::run(place, command).await,
            Command::Secrets(command) => secrets::run(place, command).await,
            Command::Models(command) => models::run(place, command).await,
            Command::Memory(command) => memory::run(place, command).await,
            Command::Audit(command) => audit::run(place, command).await,
            Command::Sandbox(command) => sandbox::run(place, command).await,
            Command::Demo(args) => demo::run(place, args).await,
            Command::Doctor => doctor::run(place).await,
        }
    }
}
