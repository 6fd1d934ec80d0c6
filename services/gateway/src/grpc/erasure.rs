//! Erases a person. Each part is left to the service that keeps it and may be asked for again, so a call that failed half way is
//! finished by the next one.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::agent::v1::ErasePersonResponse;
use harombe_proto::{audit::v1 as audit, hitl::v1 as hitl, memory::v1 as memory};
use harombe_types::{Person, ServiceName, Subject};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::Workspaces;
use crate::Error;
use crate::domain::erasure::{Part, Patience};
use crate::domain::keys::Keys;
use crate::peers::{AUDIT, HITL, MEMORY, Peers, passed_on};

/// For what a service erases at once.
const AT_ONCE: Duration = Duration::from_secs(30);
/// Workspaces that are removed at the same time.
const REMOVALS: usize = 8;
/// Until what passes is worth another try.
const AGAIN: Duration = Duration::from_secs(1);
/// The same where runs have still to end.
const AGAIN_AFTER_RUNS: Duration = Duration::from_secs(5);

pub(super) struct Erasure<'a> {
    pub(super) peers: &'a Peers,
    pub(super) keys: &'a Keys,
    pub(super) workspaces: &'a Workspaces,
    pub(super) stop: &'a CancellationToken,
    /// The admin, in whose name it is done and recorded.
    pub(super) by: Person,
    /// Who is erased, of the admin's tenant.
    pub(super) subject: Subject,
    /// So far.
    pub(super) erased: ErasePersonResponse,
}

impl Erasure<'_> {
    pub(super) async fn carry_out(mut self) -> Result<ErasePersonResponse, Status> {
        for part in [Part::Keys, Part::Memory, Part::Approvals, Part::Details] {
            let done = match part {
                Part::Keys => self.revoke_keys().await,
                Part::Memory => self.erase_memory().await,
                Part::Approvals => self.erase_approvals().await,
                Part::Details => self.destroy_data_key().await,
            };
            done.map_err(|status| unfinished(part, &status, &self.erased))?;
        }
        Ok(self.erased)
    }

    async fn revoke_keys(&mut self) -> Result<(), Status> {
        for key in self.keys.to_revoke(&self.by, &self.subject).await? {
            let revoked = self.keys.revoke(&self.by, None, &key.id).await;
            // Whether or not the log has it.
            if matches!(revoked, Ok(_) | Err(Error::Unrecorded(_))) {
                self.peers.uses.end(&key.id);
                self.erased.keys += u64::from(key.revoked.is_none());
            }
            revoked?;
        }
        Ok(())
    }

    async fn erase_memory(&mut self) -> Result<(), Status> {
        let (begun, mut patience) = (Instant::now(), Patience::default());
        loop {
            let request = memory::ErasePersonRequest {
                subject: self.subject.to_string(),
            };
            let request = self.asking(request, ServiceName::Memory)?;
            let erased = self.peers.erasures.memory.clone().erase_person(request).await;
            let erased = erased.map_err(|status| passed_on(MEMORY, &status))?.into_inner();
            self.erased.sessions += erased.sessions;
            self.erased.memories += erased.memories;
            // Nobody else knows of them any more.
            self.remove(erased.workspaces).await;
            if !erased.more {
                return Ok(());
            }
            let pause = patience.pause(erased.sessions + erased.memories, begun.elapsed());
            let pause = pause.ok_or_else(|| in_use(erased.sessions_in_use))?;
            self.rest(pause).await?;
        }
    }

    /// Removes the workspaces of sessions that are erased, as their person.
    async fn remove(&mut self, workspaces: Vec<memory::ErasedWorkspace>) {
        self.erased.workspaces += u64::try_from(workspaces.len()).unwrap_or(u64::MAX);
        let person = Person {
            tenant: self.by.tenant.clone(),
            subject: self.subject.clone(),
            roles: BTreeSet::new(),
            allow_self: false,
        };
        let removals = futures_util::stream::iter(workspaces);
        removals
            .for_each_concurrent(REMOVALS, |erased| {
                let session = memory::Session {
                    session_id: erased.session_id,
                    agent: erased.agent,
                    ..memory::Session::default()
                };
                self.workspaces
                    .remove(person.clone(), session, erased.workspace_id)
            })
            .await;
    }

    async fn erase_approvals(&mut self) -> Result<(), Status> {
        let (begun, mut patience) = (Instant::now(), Patience::default());
        loop {
            let request = hitl::ErasePersonRequest {
                subject: self.subject.to_string(),
            };
            let request = self.asking(request, ServiceName::Hitl)?;
            let erased = self.peers.erasures.approvals.clone().erase_person(request).await;
            let erased = erased.map_err(|status| passed_on(HITL, &status))?.into_inner();
            self.erased.approvals += erased.approvals;
            if !erased.more {
                return Ok(());
            }
            let pause = patience.pause(erased.approvals, begun.elapsed());
            self.rest(pause.ok_or_else(more)?).await?;
        }
    }

    async fn destroy_data_key(&mut self) -> Result<(), Status> {
        let request = audit::ErasePersonRequest {
            subject: self.subject.to_string(),
        };
        let request = self.asking(request, ServiceName::Audit)?;
        let erased = self.peers.erasures.log.clone().erase_person(request).await;
        let erased = erased.map_err(|status| passed_on(AUDIT, &status))?;
        self.erased.data_keys += erased.into_inner().data_keys;
        Ok(())
    }

    /// A request in the admin's name.
    fn asking<T>(&self, message: T, audience: ServiceName) -> Result<Request<T>, Error> {
        let mut request = self.peers.tokens.person(message, &self.by, audience)?;
        request.set_timeout(AT_ONCE);
        Ok(request)
    }

    async fn rest(&self, pause: Duration) -> Result<(), Status> {
        let rested = tokio::time::sleep(pause);
        match self.stop.run_until_cancelled(rested).await {
            Some(()) => Ok(()),
            None => Err(
                Failure::new(Code::Unavailable, Reason::Unavailable, "the gateway is stopping").to_status(),
            ),
        }
    }
}

/// Runs that were asked to end have not, or memory alone knows what is left.
fn in_use(sessions: u64) -> Status {
    if sessions == 0 {
        return more();
    }
    let message = format!("runs of {sessions} sessions were asked to end and have not yet");
    let mut failure = Failure::new(Code::Aborted, Reason::SessionBusy, message);
    failure.retry_after = Some(AGAIN_AFTER_RUNS);
    failure.to_status()
}

/// It goes on, and took too long for one call.
fn more() -> Status {
    Failure::new(
        Code::Unavailable,
        Reason::Unavailable,
        "there is more than one call erases",
    )
    .to_status()
}

/// The failure of one part, for whoever asked for all of them.
fn unfinished(part: Part, status: &Status, erased: &ErasePersonResponse) -> Status {
    let mut failure = Failure::from(status);
    let passes = matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded);
    failure.retry_after = failure.retry_after.or(passes.then_some(AGAIN));
    let ErasePersonResponse {
        keys,
        sessions,
        memories,
        workspaces,
        approvals,
        ..
    } = erased;
    failure.message = format!(
        "{}: {}. What was erased stays erased (keys: {keys}, sessions: {sessions}, memories: {memories}, workspaces: \
         {workspaces}, approvals: {approvals}); ask again",
        part.unfinished(),
        failure.message
    );
    failure.to_status()
}
