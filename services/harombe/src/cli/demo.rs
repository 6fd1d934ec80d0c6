//! `harombe demo`: the main job, told as it happens. An ordinary client: every line about what happened is made from a run
//! event or from an audit entry that was read back.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use harombe_audit::verify;
use harombe_proto::audit::v1::query_response::Item;
use harombe_proto::audit::v1::{Entry, QueryRequest};
use serde_json::Value;

use super::conversation::{Conversation, End};
use super::{Error, audit};
use crate::attach::{Client, Place};
use crate::compose::{Assembly, Config, ModelSource};
use crate::terminal::{Answers, Screen, Style};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Approve whatever is asked; recorded as unattended
    #[arg(long)]
    yes: bool,
}

const ORDERS: &[u8] = include_bytes!("../../../../deploy/demo/orders.csv");
const SCRIPT: &str = include_str!("../../../../deploy/demo/model.toml");
const MESSAGE: &str = "Which region earned most in 2025? The orders are in orders.csv. Please also compare with our published figures.";

pub(super) async fn run(place: Place, args: Args) -> Result<ExitCode, Error> {
    let home = Home::open(place.data.as_deref())?;
    let script = home.path.join("demo-model.toml");
    write_file(&script, SCRIPT.as_bytes())?;

    let mut screen = Screen::new(std::io::stdout(), Style::of_stdout());
    let config = Config::load(place.config.as_deref())?;
    let embedded = Assembly::new(&home.path, config, Some(ModelSource::Scripted(script)))
        .start()
        .await?;
    screen.step(
        "harombe",
        "seven services in this process; the model is scripted: it replays a file of turns",
    )?;
    let isolation = embedded.isolation().await?;
    screen.detail(&format!(
        "sandbox {isolation}: the isolation is proven from inside"
    ))?;
    let client = Client::at(&embedded.socket())?;
    let told = tell(client, screen, Answers::choose(args.yes)).await;
    embedded.shutdown().await;
    let (mut screen, entries) = told?;

    check(&mut screen, &home.path, &entries).await?;
    match home.temporary {
        Some(_) => screen.detail("the data is removed now; keep it with --data DIR")?,
        None => screen.detail(&format!("the data is kept in {}", home.path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the demo's data lives.
struct Home {
    path: PathBuf,
    /// Removed when dropped.
    temporary: Option<tempfile::TempDir>,
}

impl Home {
    fn open(named: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = named else {
            let dir = tempfile::Builder::new().prefix("harombe-demo-").tempdir()?;
            return Ok(Self {
                path: dir.path().to_owned(),
                temporary: Some(dir),
            });
        };
        let file = |source| Error::File {
            what: "cannot use",
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path).map_err(file)?;
        if std::fs::read_dir(path).map_err(file)?.next().is_some() {
            let text = format!(
                "{} is not empty; the demo wants a directory that is absent or empty",
                path.display()
            );
            return Err(Error::Usage(text));
        }
        Ok(Self {
            path: path.to_owned(),
            temporary: None,
        })
    }
}

type Terminal = Screen<std::io::Stdout>;

/// The message and what it sets off; then what the log has about it.
async fn tell(client: Client, screen: Terminal, answers: Answers) -> Result<(Terminal, Vec<Entry>), Error> {
    let mut conversation = Conversation::open(client, None, screen, answers).await?;
    conversation.upload_bytes("orders.csv", ORDERS.to_vec()).await?;
    let end = conversation.send(MESSAGE).await?;
    if let End::Failed(failed) = end {
        return Err(Error::Usage(format!(
            "the run failed: {} ({})",
            failed.message, failed.reason
        )));
    }
    let Conversation {
        mut client,
        session,
        mut screen,
        ..
    } = conversation;
    let entries = entries(&mut client, &session).await?;
    screen.step(
        "audit",
        &format!(
            "{} entries about this session, read back from the log",
            entries.len()
        ),
    )?;
    for line in summary(&entries) {
        screen.detail(&line)?;
    }
    Ok((screen, entries))
}

/// Every entry about the session. The index is filled behind the log: asks again until it has caught up.
async fn entries(client: &mut Client, session: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut from_index = 0;
    loop {
        let request = QueryRequest {
            session_id: session.to_owned(),
            from_index,
            ..QueryRequest::default()
        };
        let mut stream = client.audit.query(request).await?.into_inner();
        while let Some(response) = stream.message().await? {
            match response.item {
                Some(Item::Entry(entry)) => {
                    from_index = entry.index + 1;
                    entries.push(entry);
                }
                Some(Item::End(end)) if end.next_index == 0 && end.complete_to >= end.log_size => {
                    return Ok(entries);
                }
                Some(Item::End(end)) => from_index = from_index.max(end.next_index).max(end.complete_to),
                None => {}
            }
        }
    }
}

/// How many entries of each kind and outcome.
fn summary(entries: &[Entry]) -> Vec<String> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in entries {
        let leaf: Value = serde_json::from_slice(&entry.leaf).unwrap_or_default();
        let text = |key: &str| leaf.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        *counts.entry((text("kind"), text("outcome"))).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((kind, outcome), count)| format!("{count:>3} × {kind} · {outcome}"))
        .collect()
}

/// Verifies the log, then a copy of it in which one byte was changed.
async fn check(screen: &mut Terminal, data: &Path, entries: &[Entry]) -> Result<(), Error> {
    let log = data.join("audit");
    let report = verify::verify(&log, None).await.map_err(Error::NotVerified)?;
    screen.step("verified", &audit::summary(&report))?;

    let copy = tempfile::tempdir()?;
    copy_dir(&log, copy.path())?;
    let victim = entries
        .iter()
        .find(|entry| entry.leaf.windows(12).any(|part| part == b"exec.started"))
        .ok_or_else(|| Error::Usage("the log has no exec.started entry".to_owned()))?;
    change_one_byte(copy.path(), &victim.leaf)?;
    screen.step(
        "tampered",
        &format!("one byte of entry {} changed, in a copy of the log", victim.index),
    )?;
    match verify::verify(copy.path(), None).await {
        Ok(_) => Err(Error::Usage(
            "the changed copy was verified: this must never happen".to_owned(),
        )),
        Err(error) => {
            screen.detail(&format!("verifying the copy fails: {error}"))?;
            Ok(())
        }
    }
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Flips the lowest bit of the byte in the middle of an entry, in the files of the log. A database may keep an old copy of
/// the entry in a page's unused space, so every place where it stands is changed.
fn change_one_byte(log: &Path, leaf: &[u8]) -> Result<(), Error> {
    let mut changed = false;
    for name in ["audit.db", "audit.db-wal"] {
        let path = log.join(name);
        let Ok(mut bytes) = std::fs::read(&path) else {
            continue;
        };
        let mut from = 0;
        while let Some(at) = find(bytes.get(from..).unwrap_or_default(), leaf) {
            if let Some(byte) = bytes.get_mut(from + at + leaf.len() / 2) {
                *byte ^= 1;
                changed = true;
            }
            from += at + leaf.len();
        }
        write_file(&path, &bytes)?;
    }
    if changed {
        Ok(())
    } else {
        Err(Error::Usage(
            "the entry is not in the files of the log".to_owned(),
        ))
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = std::fs::File::create(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| Error::File {
        what: "cannot write",
        path: path.to_owned(),
        source,
    })
}
