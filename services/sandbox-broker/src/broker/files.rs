//! Acts on a session's files. What a model reads and writes is small and handled at once; what a person uploads and
//! downloads is passed through in parts, so that its size costs disk and time, not memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use harombe_trail::Outcome;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Broker, LEAST_ROOM, owner};
use crate::authority::Checked;
use crate::domain::call::{FileRead, FileWrite, ToolCall};
use crate::domain::transfers::Transfer;
use crate::error::Error;
use crate::sessions::InUse;
use crate::workspace::{FileError, Incoming, OpenFile};

/// The longest that a transfer takes: 64 MiB at somewhat more than half a megabit per second.
const WHOLE: Duration = Duration::from_secs(15 * 60);
/// The longest that a sender sends nothing, or a reader takes nothing.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// What the call of an upload says of the content that follows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
}

/// A download that is permitted, recorded, and about to begin.
pub(crate) struct Download {
    checked: Checked<FileRead>,
    in_use: Arc<InUse>,
    file: OpenFile,
    _transfer: Transfer,
}

impl Broker {
    /// Performs one act on the session's files.
    pub(crate) async fn act<T, R>(
        &self,
        checked: Checked<T>,
        workspace: &str,
        act: impl FnOnce(&T, &InUse, u64) -> Result<(R, Value), Error> + Send + 'static,
    ) -> Result<R, Error>
    where
        T: ToolCall + Send + Sync + 'static,
        R: Send + 'static,
    {
        let in_use = Arc::new(self.sessions.enter(&owner(&checked), workspace)?);
        self.begin(&checked, &in_use, workspace).await?;
        let quota = self.defaults.workspace;
        let checked = Arc::new(checked);
        let acting = blocking({
            let checked = Arc::clone(&checked);
            move || act(&checked.args, &in_use, quota)
        });
        let result = acting.await;
        self.end(&checked, result).await
    }

    /// Takes in an upload and gives it its place: all of it, exactly as announced, or nothing. Answers with its size.
    pub(crate) async fn receive(
        &self,
        checked: Checked<FileWrite>,
        announced: Announced,
        workspace: &str,
        parts: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> Result<u64, Error> {
        let _transfer = self.transfer(&checked)?;
        let in_use = Arc::new(self.sessions.enter(&owner(&checked), workspace)?);
        self.begin(&checked, &in_use, workspace).await?;
        let receiving = async { Receiving::begin(&in_use, announced).await?.take(parts).await };
        let received = tokio::select! {
            received = timeout(WHOLE, receiving) => received.unwrap_or(Err(TOO_LONG)),
            () = in_use.deleted() => Err(Error::WorkspaceLost),
        };
        let result = match received {
            Ok(incoming) => {
                let (path, quota) = (checked.args.path.clone(), self.defaults.workspace);
                let placing = move || {
                    let synced = incoming.sync();
                    synced.map_err(Error::store("an upload could not be written"))?;
                    Ok(in_use.place(&path, &incoming, quota)?)
                };
                blocking(placing).await
            }
            Err(error) => Err(error),
        };
        let size = announced.size;
        let result = result.map(|()| (size, json!({ "bytes": size })));
        self.end(&checked, result).await
    }

    /// Everything that comes before the first byte of a download.
    pub(crate) async fn open_download(
        &self,
        checked: Checked<FileRead>,
        workspace: &str,
    ) -> Result<Download, Error> {
        let transfer = self.transfer(&checked)?;
        let in_use = Arc::new(self.sessions.enter(&owner(&checked), workspace)?);
        self.begin(&checked, &in_use, workspace).await?;
        let FileRead { path, limit, .. } = checked.args.clone();
        let opened = blocking(move || {
            let file = in_use.workspace.open_file(&path, limit)?;
            Ok((in_use, file))
        });
        match opened.await {
            Ok((in_use, file)) => Ok(Download {
                checked,
                in_use,
                file,
                _transfer: transfer,
            }),
            Err(error) => self.end(&checked, Err(error)).await,
        }
    }

    /// Sends the file. Its last part, which is empty for an empty file, goes out when the end is recorded.
    pub(crate) async fn send(&self, download: Download, parts: &mpsc::Sender<Bytes>) -> Result<(), Error> {
        let Download {
            checked,
            in_use,
            file,
            _transfer,
        } = download;
        let result = tokio::select! {
            sent = timeout(WHOLE, send_all_but_last(file, parts)) => sent.unwrap_or(Err(TOO_LONG)),
            () = in_use.deleted() => Err(Error::WorkspaceLost),
        };
        let last = self.end(&checked, result).await?;
        pass(parts, last).await
    }

    fn transfer<T>(&self, checked: &Checked<T>) -> Result<Transfer, Error> {
        let run = &checked.run;
        Ok(self.transfers.begin(&run.tenant, &run.subject)?)
    }

    /// Spends the grant and records the start. What has no room is refused before, and costs neither the grant nor the way.
    async fn begin<T: ToolCall>(
        &self,
        checked: &Checked<T>,
        in_use: &Arc<InUse>,
        workspace: &str,
    ) -> Result<(), Error> {
        let needs = checked.args.needs();
        if needs > 0 {
            let (in_use, quota) = (Arc::clone(in_use), self.defaults.workspace);
            if !blocking(move || Ok(in_use.workspace.has_room(needs, quota))).await? {
                return Err(FileError::Full { limit: quota }.into());
            }
            self.has_room(needs.saturating_add(LEAST_ROOM)).await?;
        }
        self.authority.redeem(checked).await?;
        self.record_start(checked, json!({ "workspace": workspace }))
            .await
    }

    /// Records how an act ended, before anybody is told.
    async fn end<T: ToolCall, R>(
        &self,
        checked: &Checked<T>,
        result: Result<(R, Value), Error>,
    ) -> Result<R, Error> {
        let (outcome, details) = match &result {
            Ok((_, details)) => (Outcome::Ok, details.clone()),
            Err(error @ (Error::BrokenOff(_) | Error::WorkspaceLost)) => {
                (Outcome::Cancelled, json!({ "error": error.to_string() }))
            }
            Err(error) => (Outcome::Failed, json!({ "error": error.to_string() })),
        };
        self.record_end(checked, outcome, details).await?;
        result.map(|(result, _)| result)
    }
}

const TOO_LONG: Error = Error::BrokenOff("it took longer than 15 minutes");
pub(crate) const NOT_TAKEN: Error = Error::BrokenOff("nothing was taken for 60 s");

/// An upload that comes in.
struct Receiving {
    announced: Announced,
    incoming: Incoming,
    sha256: Sha256,
}

impl Receiving {
    async fn begin(in_use: &Arc<InUse>, announced: Announced) -> Result<Self, Error> {
        let in_use = Arc::clone(in_use);
        let incoming = blocking(move || {
            let incoming = in_use.workspace.incoming();
            incoming.map_err(Error::store("an upload could not be begun"))
        });
        Ok(Self {
            announced,
            incoming: incoming.await?,
            sha256: Sha256::new(),
        })
    }

    /// All that comes, if it is what was announced.
    async fn take(
        mut self,
        mut parts: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> Result<Incoming, Error> {
        loop {
            let part = timeout(SILENCE, parts.next()).await;
            let part = part.map_err(|_| Error::BrokenOff("nothing was sent for 60 s"))?;
            let Some(part) = part.transpose()? else { break };
            self = blocking(move || self.add(&part)).await?;
        }
        if self.incoming.size() != self.announced.size {
            return Err(Error::Upload("size"));
        }
        if self.sha256.finalize().as_slice() != self.announced.sha256 {
            return Err(Error::Upload("sha256"));
        }
        Ok(self.incoming)
    }

    fn add(mut self, part: &[u8]) -> Result<Self, Error> {
        let size = self.incoming.size().saturating_add(part.len() as u64);
        if size > self.announced.size {
            return Err(Error::Upload("size"));
        }
        self.sha256.update(part);
        let written = self.incoming.write(part);
        written.map_err(Error::store("an upload could not be written"))?;
        Ok(self)
    }
}

/// Passes on all parts but the last, which it returns.
async fn send_all_but_last(mut file: OpenFile, parts: &mpsc::Sender<Bytes>) -> Result<(Bytes, Value), Error> {
    let (mut last, mut bytes) = (Bytes::new(), 0_u64);
    loop {
        let (next, rest) = blocking(move || Ok((file.next_part()?, file))).await?;
        file = rest;
        let Some(next) = next else { break };
        if !last.is_empty() {
            pass(parts, last).await?;
        }
        bytes = bytes.saturating_add(next.len() as u64);
        last = next;
    }
    Ok((last, json!({ "bytes": bytes, "redactions": {} })))
}

async fn pass(parts: &mpsc::Sender<Bytes>, part: Bytes) -> Result<(), Error> {
    match timeout(SILENCE, parts.send(part)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Error::BrokenOff("the reader went away")),
        Err(_) => Err(NOT_TAKEN),
    }
}

/// Work on files, on a thread that may wait for a disk.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panicked| {
        Err(Error::Store {
            what: "an act on a file failed",
            source: io::Error::from(panicked),
        })
    })
}
