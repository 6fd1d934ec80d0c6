//! `harombe secrets`: credentials for the world outside, in the sealed file of the data directory or in Vault.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use clap::Subcommand;
use harombe_secrets::{Secret, SecretName};
use zeroize::Zeroizing;

use super::Error;
use crate::attach::Place;
use crate::compose::Config;
use crate::terminal::{Typed, read_hidden};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep a secret, in place of an earlier one of that name; it is read from standard input, or asked for
    Set {
        /// What upstreams call it, such as anthropic
        name: SecretName,
    },
    /// Show the names
    List,
    /// Forget a secret
    Remove { name: SecretName },
}

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let config = Config::load(place.config.as_deref())?;
    let secrets = harombe_secrets::open(&config.secrets, &place.data()?)?;
    match command {
        Command::Set { name } => {
            let secret = Secret::from_input(read(&name).await?)?;
            secrets.set(&name, secret).await?;
        }
        Command::List => {
            let mut out = std::io::stdout();
            for name in secrets.list().await? {
                writeln!(out, "{name}")?;
            }
        }
        Command::Remove { name } => secrets.remove(&name).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The most that is read: more than any secret may have.
const MOST: u64 = 128 * 1024;

async fn read(name: &SecretName) -> Result<Zeroizing<String>, Error> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return match read_hidden(&format!("{name}: ")).await? {
            Typed::Line(line) => Ok(line),
            Typed::Interrupted => Err(Error::Interrupted),
            Typed::Terminated => Err(Error::Terminated),
        };
    }
    let mut text = Zeroizing::new(String::new());
    stdin.lock().take(MOST).read_to_string(&mut text)?;
    Ok(text)
}
