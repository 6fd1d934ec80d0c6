//! The end of the demo: what the log has, that it is as it was written, and that a change in it shows.

use std::path::Path;

use harombe_audit::files::{self, Leaf};
use harombe_audit::verify;
use harombe_proto::audit::v1::query_response::Item;
use harombe_proto::audit::v1::{Entry, QueryRequest};

use super::Terminal;
use crate::attach::Client;
use crate::cli::{Error, audit};
use crate::terminal::Style;

/// Every entry about the session. The index is filled behind the log: asks again until it has caught up.
pub(super) async fn entries(client: &mut Client, session: &str) -> Result<Vec<Entry>, Error> {
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

/// What the entries say: how many of each sort, in the order in which the first of each was written.
pub(super) fn summary(leaves: &[Leaf], style: Style) -> Vec<String> {
    let mut counts: Vec<(&Leaf, usize)> = Vec::new();
    for leaf in leaves {
        let same = |other: &Leaf| {
            (&other.kind, &other.outcome, &other.service) == (&leaf.kind, &leaf.outcome, &leaf.service)
        };
        match counts.iter_mut().find(|(first, _)| same(first)) {
            Some((_, count)) => *count += 1,
            None => counts.push((leaf, 1)),
        }
    }
    let line = |(leaf, count): (&Leaf, usize)| {
        let line = format!("{count:>2} × {:<20} {}", leaf.kind, leaf.service);
        match leaf.outcome.as_str() {
            "ok" => line,
            outcome => format!("{line} · {}", style.bad(outcome)),
        }
    };
    counts.into_iter().map(line).collect()
}

/// Verifies the log, then a copy of it in which one byte of the entry `victim` was changed.
pub(super) async fn check(screen: &mut Terminal, log: &Path, victim: &Entry) -> Result<(), Error> {
    let report = verify::verify(log, None).await.map_err(Error::NotVerified)?;
    screen.chapter("verified", &audit::summary(&report))?;

    let copy = tempfile::tempdir()?;
    files::copy(log, copy.path()).await.map_err(Error::Log)?;
    change_one_byte(&copy.path().join("audit.db"), &victim.leaf)?;
    let line = format!("one byte of entry {} changed, in a copy of the log", victim.index);
    screen.step("tampered", &line)?;
    let Err(error) = verify::verify(copy.path(), None).await else {
        let text = "the changed copy was verified: this must never happen";
        return Err(Error::Usage(text.to_owned()));
    };
    let line = format!("{}: {error}", screen.style().bad("verifying the copy fails"));
    screen.detail(&line)?;
    Ok(())
}

/// Flips the lowest bit of the byte in the middle of an entry. A database may keep an old copy of the entry in a page's
/// unused space, so every place where it stands is changed.
fn change_one_byte(database: &Path, leaf: &[u8]) -> Result<(), Error> {
    let file = |what, source| Error::File {
        what,
        path: database.to_owned(),
        source,
    };
    let mut bytes = std::fs::read(database).map_err(|source| file("cannot read", source))?;
    let places: Vec<usize> = bytes
        .windows(leaf.len())
        .enumerate()
        .filter(|(_, window)| *window == leaf)
        .map(|(at, _)| at + leaf.len() / 2)
        .collect();
    if places.is_empty() {
        return Err(Error::Usage("the entry is not in the file of the log".to_owned()));
    }
    for at in places {
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
    }
    std::fs::write(database, bytes).map_err(|source| file("cannot write", source))
}
