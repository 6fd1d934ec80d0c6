//! `harombe audit`: reading and checking the log's files or tables, with no server and no trust in one.

mod source;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use harombe_audit::VerifyingKey;
use harombe_audit::files::{self, Entry, Filter, Leaf, Source};
use harombe_audit::verify::{self, Kind, Known, Report, Trust, VerifyError};
use serde_json::{Value, json};

use self::source::{Database, Log};
use super::Error;
use crate::attach::Place;
use crate::terminal::Style;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show entries
    Query(Query),
    /// Check every entry, the tree, the signatures and the sequences; fails naming the first bad entry
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The public key that the log must be signed with, as its operator gave it to you
    /// [default: the key that lies beside the log, which proves less]
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// A signed checkpoint that you kept: fails when the log does not begin with what it was signed over
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, clap::Args)]
pub(super) struct Query {
    /// Only this kind, such as egress.decided
    #[arg(long)]
    kind: Option<String>,
    /// Only entries that this service wrote
    #[arg(long)]
    service: Option<String>,
    /// Only this run
    #[arg(long)]
    run: Option<String>,
    /// Only this session
    #[arg(long)]
    session: Option<String>,
    /// Only this call
    #[arg(long)]
    call: Option<String>,
    /// Start at this entry
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// One JSON object a line, with the leaf as hashed and the details
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Query(query) => {
            let log = Log::of(&place, &query.database)?;
            show(log.source(), query).await
        }
        Command::Verify(verify) => {
            let log = Log::of(&place, &verify.database)?;
            check(log.source(), verify).await
        }
    }
}

async fn show(log: Source<'_>, query: Query) -> Result<ExitCode, Error> {
    let Query {
        kind,
        service,
        run,
        session,
        call,
        from,
        limit,
        json,
        database: _,
    } = query;
    let filter = Filter {
        kind,
        service,
        run,
        session,
        call,
        ..Filter::default()
    };
    let (entries, next) = files::query(log, &filter, from, limit)
        .await
        .map_err(Error::Log)?;
    let mut out = std::io::stdout().lock();
    let columns = Style::columns_of_stdout();
    for entry in &entries {
        let line = if json { as_json(entry) } else { as_line(entry) };
        match columns {
            Some(columns) if !json => writeln!(out, "{}", cut(&line, columns))?,
            _ => writeln!(out, "{line}")?,
        }
    }
    if let Some(next) = next {
        writeln!(std::io::stderr(), "there may be more: go on with --from {next}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// As much of a line as a terminal shows in one.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars()
        .take(columns.saturating_sub(1))
        .chain(['…'])
        .collect()
}

fn as_json(entry: &Entry) -> String {
    let parsed = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or(Value::Null);
    let (leaf, details) = (parsed(&entry.leaf), parsed(entry.details.as_bytes()));
    json!({ "index": entry.index, "leaf": leaf, "details": details }).to_string()
}

fn as_line(entry: &Entry) -> String {
    match Leaf::decode(&entry.leaf) {
        Ok(leaf) => format!(
            "{:>7}  {}  {:<14} {:<18} {:<9} {}",
            entry.index, leaf.time, leaf.service, leaf.kind, leaf.outcome, entry.details
        ),
        Err(error) => format!("{:>7}  cannot be read: {error}", entry.index),
    }
}

async fn check(log: Source<'_>, verify: Verify) -> Result<ExitCode, Error> {
    let key = match &verify.key {
        Some(text) => {
            Some(VerifyingKey::parse(text).map_err(|error| Error::Usage(format!("--key: {error}")))?)
        }
        None => None,
    };
    let checkpoint = match &verify.checkpoint {
        Some(path) => Some(std::fs::read(path).map_err(|source| Error::File {
            what: "cannot read the checkpoint",
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let is_kept = checkpoint.is_some();
    let given = key.is_some();
    let known = Known { key, checkpoint };
    let report = verify::verify_with(log, known)
        .await
        .map_err(|error| match error {
            VerifyError::Damaged(damage) if given && damage.kind == Kind::ForgedCheckpoint => {
                Error::OtherKey(damage)
            }
            error => Error::NotVerified(error),
        })?;
    let style = Style::of_stdout();
    let mut out = std::io::stdout().lock();
    if !report.unaccounted.is_empty() {
        writeln!(out, "{}: {}", style.bad("not verified"), unaccounted(&report))?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "{}: {}", style.good("verified"), summary(&report))?;
    if is_kept {
        writeln!(
            out,
            "it begins with what the checkpoint that you gave was signed over"
        )?;
    }
    match report.trust {
        Trust::Given => writeln!(out, "trusted: the key that you gave, {}", report.key)?,
        Trust::Beside => writeln!(
            out,
            "trusted: the key beside the log, {}\n\
             Whoever can replace the log can replace that key too: keep it elsewhere, and give it with --key.",
            report.key
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What was checked, in a line.
pub(super) fn summary(report: &Report) -> String {
    format!(
        "{} entries and {} signed checkpoints: leaves, tree, signatures and sequences are as they were written",
        report.entries, report.checkpoints
    )
}

/// Each writer's events are numbered without gaps: what is missing here never reached the log, or was left out of it.
fn unaccounted(report: &Report) -> String {
    let writers = report.unaccounted.iter().map(|writer| {
        let first = writer
            .first
            .map(|first| format!(", the first is {first}"))
            .unwrap_or_default();
        format!(
            "{} (instance {}): {} numbers are missing{first}, {} came twice",
            writer.service, writer.instance, writer.missing, writer.repeated
        )
    });
    writers.collect::<Vec<_>>().join("; ")
}
