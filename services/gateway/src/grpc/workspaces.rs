//! The workspaces of sessions that are erased. Nobody can reach one any more, and it goes although its broker may be away for
//! a while.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure};
use harombe_proto::{memory::v1 as memory, runtime::v1 as runtime};
use harombe_rpc::TaskSet;
use harombe_types::Person;
use tokio::sync::Semaphore;
use tonic::Status;

use crate::peers::Peers;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Some two hours together.
const TRIES: u32 = 128;
/// Workspaces that are tried again at the same time; one more is only named in the log.
const WAITING: usize = 256;

/// Removes workspaces, in the background when it must be.
#[derive(Clone)]
pub(crate) struct Workspaces {
    peers: Peers,
    tasks: TaskSet,
    room: Arc<Semaphore>,
}

/// One that is to go.
struct Removal {
    person: Person,
    /// As it was; it is erased.
    session: memory::Session,
    workspace: String,
}

impl Workspaces {
    pub(crate) fn new(peers: Peers, tasks: TaskSet) -> Self {
        let room = Arc::new(Semaphore::new(WAITING));
        Self { peers, tasks, room }
    }

    /// Removes the workspace of a session that is erased. What stands in the way for now is waited for elsewhere.
    pub(crate) async fn remove(&self, person: Person, session: memory::Session, workspace: String) {
        let removal = Removal {
            person,
            session,
            workspace,
        };
        let Err(status) = self.try_once(&removal).await else {
            return;
        };
        let Removal { workspace, .. } = &removal;
        if !passes(&status) {
            return tracing::warn!(%status, workspace, "the workspace of an erased session could not be removed");
        }
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return tracing::error!(%status, workspace, "the workspace of an erased session stays: too many wait already");
        };
        tracing::info!(%status, workspace, "the workspace of an erased session is removed later");
        let (workspaces, stop) = (self.clone(), self.tasks.token());
        self.tasks.spawn(async move {
            let trying = stop.run_until_cancelled(workspaces.try_again(&removal)).await;
            if !matches!(trying, Some(Ok(()))) {
                let Removal { workspace, .. } = &removal;
                tracing::error!(?trying, workspace, "the workspace of an erased session stays");
            }
            drop(place);
        });
    }

    async fn try_again(&self, removal: &Removal) -> Result<(), Status> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.try_once(removal).await {
                Err(status) if passes(&status) => {}
                tried => return tried,
            }
        }
        self.try_once(removal).await
    }

    async fn try_once(&self, removal: &Removal) -> Result<(), Status> {
        let tokens = &self.peers.tokens;
        let run = tokens.new_run(&removal.person, &removal.session)?;
        let message = runtime::DeleteWorkspaceRequest {
            workspace_id: removal.workspace.clone(),
        };
        let request = tokens.run(message, &run)?;
        self.peers
            .runtime
            .clone()
            .delete_workspace(request)
            .await
            .map(drop)
    }
}

/// Whether it may be otherwise soon. A workspace whose broker is gone for good is gone with it.
fn passes(status: &Status) -> bool {
    let failure = Failure::from(status);
    matches!(
        failure.code,
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
    )
}
