//! Which workspace belongs to which session.
//!
//! Each workspace has a small file beside it that names its owner. The files are read once, at start; a
//! session has at most one workspace here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe_types::{Clock, InstanceId, SessionId, Subject, Tenant, WorkspaceId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use crate::error::Error;
use crate::gvisor::SANDBOX_USER;
use crate::metrics::Holdings;
use crate::workspace::{FileError, Incoming, Workspace, WorkspacePath, Workspaces};

/// Whose a workspace is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    pub(crate) tenant: Tenant,
    /// Whose session it is: another of the same tenant does not find it, whatever token a caller was given.
    pub(crate) subject: Subject,
    pub(crate) session: SessionId,
}

/// The workspaces of this broker and their owners.
#[derive(Debug)]
pub(crate) struct Sessions {
    broker: InstanceId,
    workspaces: Workspaces,
    owners: PathBuf,
    clock: Arc<dyn Clock>,
    /// How many one person may have here.
    most_of_one: usize,
    /// Held while a workspace is made.
    making: Mutex<()>,
    held: Mutex<HashMap<Owner, Arc<Held>>>,
}

#[derive(Debug)]
struct Held {
    id: Uuid,
    /// Cancelled when the workspace is deleted.
    deleted: CancellationToken,
    /// What is being done in it.
    uses: TaskTracker,
    /// Held while a file is given its place, so that two do not measure the same room.
    placing: Arc<Mutex<()>>,
}

/// A workspace in use: it is not removed while one of these lives.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(crate) workspace: Workspace,
    deleted: CancellationToken,
    placing: Arc<Mutex<()>>,
    _use: TaskTrackerToken,
}

impl InUse {
    /// Returns when the session deletes the workspace: what runs in it has to end.
    pub(crate) async fn deleted(&self) {
        self.deleted.cancelled().await;
    }

    /// Gives a received file its place. However many do so at a time, together they keep to `quota`. Blocks.
    pub(crate) fn place(
        &self,
        path: &WorkspacePath,
        incoming: &Incoming,
        quota: u64,
    ) -> Result<(), FileError> {
        let _alone = self.placing.lock();
        self.workspace.place(path, incoming, quota)
    }

    /// Writes a file, as [`InUse::place`] does. Blocks.
    pub(crate) fn write(&self, path: &WorkspacePath, contents: &[u8], quota: u64) -> Result<(), FileError> {
        let _alone = self.placing.lock();
        self.workspace.write(path, contents, quota)
    }
}

impl Sessions {
    /// The workspaces below `data`, of which one person may have `most_of_one`. Blocks.
    pub(crate) fn open(data: &Path, most_of_one: usize, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let workspaces = Workspaces::open(&data.join("workspaces"), SANDBOX_USER)?;
        let owners = data.join("owners");
        fs::create_dir_all(&owners)?;
        let mut held = HashMap::new();
        for entry in fs::read_dir(&owners)? {
            let path = entry?.path();
            // A file that a crash left half-written under its temporary name has no workspace.
            let Some(id) = path
                .file_name()
                .and_then(|n| n.to_str())
                .and_then(|n| n.parse().ok())
            else {
                continue;
            };
            let owner: Owner = serde_json::from_slice(&fs::read(&path)?)?;
            if workspaces.get(id)?.is_none() {
                // Never made, lost, or half deleted. Who knows its id is told that it is lost; who does
                // not must not be kept from another by it.
                tracing::warn!(workspace = %id, "a session's workspace is not there");
                remove_file(&path)?;
                continue;
            }
            keep_the_older(&mut held, owner, id);
        }
        let broker = instance(&data.join("instance"), &*clock)?;
        Ok(Self {
            broker,
            workspaces,
            owners,
            clock,
            most_of_one,
            making: Mutex::default(),
            held: Mutex::new(held),
        })
    }

    /// The id of the session's workspace, made if it has none. `known` is the one that the session had.
    /// Blocks.
    pub(crate) fn open_workspace(&self, owner: &Owner, known: Option<&str>) -> Result<WorkspaceId, Error> {
        if let Some(known) = known {
            let id = self.ours(known)?;
            self.held(owner, id).ok_or_else(|| self.why_not(id))?;
            self.workspace(id)?;
            return Ok(WorkspaceId {
                broker: self.broker,
                id,
            });
        }
        // One at a time, and not under the lock that everything else takes: a disk may be slow.
        let _making = self.making.lock();
        if let Some(id) = self.theirs(owner)? {
            self.workspace(id)?;
            return Ok(WorkspaceId {
                broker: self.broker,
                id,
            });
        }
        let new = WorkspaceId::generate(self.broker, &*self.clock);
        self.make(new.id, owner)
            .map_err(Error::store("could not make a workspace"))?;
        self.held
            .lock()
            .insert(owner.clone(), Arc::new(Held::new(new.id)));
        Ok(new)
    }

    /// The workspace that the session has; `None` when it may get one.
    fn theirs(&self, owner: &Owner) -> Result<Option<Uuid>, Error> {
        let all = self.held.lock();
        if let Some(held) = all.get(owner) {
            return Ok(Some(held.id));
        }
        let theirs = |other: &&Owner| (&other.tenant, &other.subject) == (&owner.tenant, &owner.subject);
        if all.keys().filter(theirs).count() >= self.most_of_one {
            return Err(Error::ManyWorkspaces(self.most_of_one));
        }
        Ok(None)
    }

    /// The session's workspace, kept from being removed. Blocks.
    pub(crate) fn enter(&self, owner: &Owner, id: &str) -> Result<InUse, Error> {
        let id = self.ours(id)?;
        let held = self.held(owner, id).ok_or_else(|| self.why_not(id))?;
        let in_use = held.uses.token();
        if held.deleted.is_cancelled() {
            return Err(Error::WorkspaceLost);
        }
        Ok(InUse {
            workspace: self.workspace(id)?,
            deleted: held.deleted.clone(),
            placing: Arc::clone(&held.placing),
            _use: in_use,
        })
    }

    /// Ends what runs in the session's workspace and removes it. One that is gone already is no error.
    pub(crate) async fn delete(self: &Arc<Self>, owner: &Owner, id: &str) -> Result<(), Error> {
        let id = self.ours(id)?;
        let Some(held) = self.held(owner, id) else {
            return match self.why_not(id) {
                Error::WorkspaceLost => Ok(()),
                error => Err(error),
            };
        };
        held.deleted.cancel();
        held.uses.close();
        held.uses.wait().await;
        let this = Arc::clone(self);
        let removed = tokio::task::spawn_blocking(move || {
            this.workspaces.remove(id)?;
            remove_file(&this.owners.join(id.to_string()))
        });
        let removed = removed
            .await
            .map_err(io::Error::other)
            .and_then(|removed| removed);
        removed.map_err(Error::store("could not remove the workspace"))?;
        self.held.lock().remove(owner);
        Ok(())
    }

    /// What all workspaces hold, or those that were looked at before `enough` said so. Blocks.
    pub(crate) fn holdings(&self, enough: impl Fn() -> bool) -> Holdings {
        let ids: Vec<Uuid> = self.held.lock().values().map(|held| held.id).collect();
        let mut holdings = Holdings::default();
        for id in ids {
            if enough() {
                break;
            }
            // One that was deleted meanwhile, or that cannot be opened, holds nothing that anybody could tell.
            if let Ok(Some(workspace)) = self.workspaces.get(id) {
                holdings.workspaces += 1;
                holdings.bytes = holdings.bytes.saturating_add(workspace.usage().bytes);
            }
        }
        holdings
    }

    /// Bytes that the disk of the workspaces still has room for. Blocks.
    pub(crate) fn room(&self) -> io::Result<u64> {
        self.workspaces.room()
    }

    fn workspace(&self, id: Uuid) -> Result<Workspace, Error> {
        let found = self
            .workspaces
            .get(id)
            .map_err(Error::store("could not open the workspace"))?;
        found.ok_or(Error::WorkspaceLost)
    }

    fn ours(&self, id: &str) -> Result<Uuid, Error> {
        let id: WorkspaceId = id.parse().map_err(|_| Error::WorkspaceId)?;
        if id.broker == self.broker {
            Ok(id.id)
        } else {
            Err(Error::WorkspaceElsewhere(id.broker.to_string()))
        }
    }

    fn held(&self, owner: &Owner, id: Uuid) -> Option<Arc<Held>> {
        self.held
            .lock()
            .get(owner)
            .filter(|held| held.id == id)
            .map(Arc::clone)
    }

    /// Another's workspace is not there; one that nobody has was there once.
    fn why_not(&self, id: Uuid) -> Error {
        let somebodys = self.held.lock().values().any(|held| held.id == id);
        if somebodys {
            Error::NoWorkspace
        } else {
            Error::WorkspaceLost
        }
    }

    /// Makes a workspace and the file that names its owner, both or neither.
    fn make(&self, id: Uuid, owner: &Owner) -> io::Result<()> {
        let file = self.owners.join(id.to_string());
        let text = serde_json::to_vec(owner)?;
        let made = write_durably(&file, &text).and_then(|()| self.workspaces.create(id));
        made.map(drop).inspect_err(|_| {
            // The owner's file first: left behind it would claim a workspace, an empty directory claims nothing.
            let undone = remove_file(&file).and_then(|()| self.workspaces.remove(id));
            if let Err(error) = undone {
                tracing::warn!(%error, workspace = %id, "what is left of a workspace could not be removed");
            }
        })
    }
}

/// A session has one workspace. If there are two, the one it had first counts, so that every start chooses the
/// same; ids are ordered by the time they were made. The other stays on disk.
fn keep_the_older(held: &mut HashMap<Owner, Arc<Held>>, owner: Owner, id: Uuid) {
    match held.entry(owner) {
        Entry::Vacant(free) => {
            free.insert(Arc::new(Held::new(id)));
        }
        Entry::Occupied(mut first) => {
            let (older, younger) = (first.get().id.min(id), first.get().id.max(id));
            tracing::warn!(%older, %younger, "a session has two workspaces: the older is its own");
            first.insert(Arc::new(Held::new(older)));
        }
    }
}

impl Held {
    fn new(id: Uuid) -> Self {
        Self {
            id,
            deleted: CancellationToken::new(),
            uses: TaskTracker::new(),
            placing: Arc::default(),
        }
    }
}

/// This broker's own durable name, chosen at its first start.
fn instance(path: &Path, clock: &dyn Clock) -> io::Result<InstanceId> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let new = InstanceId::generate(clock);
            write_durably(path, new.to_string().as_bytes())?;
            Ok(new)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that is either not there or whole, also after a power failure.
fn write_durably(path: &Path, contents: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let written = write_synced(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // On a full disk every bit of room counts; what stays is overwritten by the next try.
        let _ = remove_file(&temporary);
        return Err(error);
    }
    path.parent()
        .map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}

fn write_synced(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
