//! All memories out, and memories in.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use harombe_proto::memory::v1::{ExportMemoriesRequest, ImportMemoriesRequest, Memory};
use prost::Message as _;

use super::super::Error;
use super::super::moments::of_memories;
use super::json::MemoryJson;
use crate::attach::Client;

/// Memories that are sent at once, and the bytes that they may have together.
const MOST: usize = 256;
const LARGEST: usize = 2 * 1024 * 1024;
/// Longest line, in bytes: a memory's text has 16 KiB at most.
const LONGEST_LINE: u64 = 1024 * 1024;

pub(super) async fn export(client: &mut Client) -> Result<(), Error> {
    let json = MemoryJson::new()?;
    let mut stream = client
        .memories
        .export_memories(ExportMemoriesRequest {})
        .await
        .map_err(of_memories)?
        .into_inner();
    let mut out = std::io::BufWriter::new(std::io::stdout());
    while let Some(response) = stream.message().await? {
        writeln!(out, "{}", json.write(&response.memory.unwrap_or_default())?)?;
    }
    Ok(out.flush()?)
}

/// What was taken over so far.
#[derive(Debug, Default)]
struct Progress {
    lines: u64,
    imported: u64,
    known: u64,
}

/// Whatever keeps it from going on: sent again, what was taken over already is left as it is.
pub(super) async fn import(client: &mut Client, path: &Path) -> Result<(), Error> {
    let json = MemoryJson::new()?;
    let mut input: Box<dyn BufRead + Send> = if path == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(path).map_err(|source| Error::File {
            what: "cannot read",
            path: path.to_owned(),
            source,
        })?;
        Box::new(BufReader::new(file))
    };
    let mut progress = Progress::default();
    let mut memories = Vec::new();
    let mut size = 0;
    while let Some(memory) = next(&mut input, &json, &mut progress)? {
        let len = memory.encoded_len();
        if memories.len() == MOST || size + len > LARGEST {
            send(client, std::mem::take(&mut memories), &mut progress).await?;
            size = 0;
        }
        size += len;
        memories.push(memory);
    }
    if !memories.is_empty() {
        send(client, memories, &mut progress).await?;
    }
    let told = format!(
        "{} imported · {} were there already",
        progress.imported, progress.known
    );
    Ok(writeln!(std::io::stdout(), "{told}")?)
}

fn next(
    input: &mut impl BufRead,
    json: &MemoryJson,
    progress: &mut Progress,
) -> Result<Option<Memory>, Error> {
    loop {
        let mut line = Vec::new();
        if input
            .by_ref()
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(None);
        }
        progress.lines += 1;
        let wrong = |why: &str| {
            let (at, done) = (progress.lines, progress.imported + progress.known);
            Error::Usage(format!(
                "line {at} is no memory: {why}; correct it and import the file again, the {done} that were taken over stay as they are"
            ))
        };
        if line.len() as u64 > LONGEST_LINE {
            return Err(wrong("it is too long"));
        }
        if !line.trim_ascii().is_empty() {
            return json.read(&line).map(Some).map_err(|why| wrong(&why));
        }
    }
}

async fn send(client: &mut Client, memories: Vec<Memory>, progress: &mut Progress) -> Result<(), Error> {
    let answer = client
        .memories
        .import_memories(ImportMemoriesRequest { memories })
        .await;
    let answer = answer.map_err(of_memories)?.into_inner();
    progress.imported += u64::from(answer.imported);
    progress.known += u64::from(answer.known);
    let mut err = std::io::stderr();
    if err.is_terminal() {
        // Progress is for who watches.
        let _ = write!(
            err,
            "\r{} imported, {} known …\r",
            progress.imported, progress.known
        );
    }
    Ok(())
}
