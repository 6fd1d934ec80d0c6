//! The acts of this service, each in the same order: hold the grant against the call, make sure that the act is
//! possible, spend the grant, record, act, record.

mod files;
mod output;

use std::io;
use std::sync::Arc;

use harombe_error::ServiceError;
use harombe_grant::Grant;
use harombe_trail::{Event, Kind, Outcome, Trail};
use harombe_types::{Principal, RunPrincipal};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::authority::{Authority, Checked, Shown};
use crate::domain::admission::{Admission, Admitted};
use crate::domain::call::{CodeExecute, ToolCall};
use crate::domain::driver::{Driver, SandboxSpec};
use crate::domain::execution::{Ending, Finished, OverQuota, execute};
use crate::domain::limits::{Limits, LimitsRequest};
use crate::domain::transfers::Transfers;
use crate::error::Error;
use crate::isolation::Isolation;
use crate::metrics::{GoesOn, Numbers};
use crate::sessions::{InUse, Owner, Sessions};
use crate::workspace::{FileError, Workspace};

pub(crate) use files::{Announced, NOT_TAKEN, SILENCE};
use output::Output;
pub(crate) use output::{Frame, sum};

/// What performs the acts.
pub(crate) struct Broker {
    pub(crate) authority: Authority,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) isolation: Isolation,
    pub(crate) admission: Admission,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) trail: Trail,
    pub(crate) defaults: Limits,
    pub(crate) maximum: Limits,
    pub(crate) numbers: Numbers,
}

/// What a sandbox needs of the broker's own disk, before its program writes anything: its bundle, with room to spare.
const LEAST_ROOM: u64 = 1 << 20;

/// An execution that is permitted, recorded, and about to begin.
pub(crate) struct Ready {
    checked: Checked<CodeExecute>,
    limits: Limits,
    in_use: InUse,
    driver: Arc<dyn Driver>,
    _admitted: Admitted,
    _runs: GoesOn,
}

/// What is known at the end of an execution.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) finished: Finished,
    /// How many secrets of each kind were taken out of the output.
    pub(crate) redactions: std::collections::BTreeMap<String, u32>,
}

impl Broker {
    /// Holds what a run shows against the call that it asks for. A permission that is not good is recorded: somebody
    /// may be trying what they are not granted.
    pub(crate) async fn check<T: ToolCall>(
        &self,
        run: RunPrincipal,
        shown: Shown,
    ) -> Result<Checked<T>, Error> {
        let checked = self.authority.check(&run, shown);
        if let Err(error @ (Error::Grant(_) | Error::ForeignGrant(_) | Error::Tool { .. })) = &checked {
            let details =
                json!({ "tool": T::TOOL, "reason": error.reason().as_str(), "error": error.to_string() });
            let event = Event::new(Kind::GrantRefused, &run.tenant)
                .principal(&Principal::Run(run))
                .outcome(Outcome::Denied)
                .details(details);
            // Refused it is in any case, and for its own reason.
            if let Err(error) = self.trail.record(event).await {
                tracing::warn!(%error, "a refused permission could not be recorded");
            }
        }
        checked
    }

    /// Everything that comes before an execution. When this returns, the grant is spent and the start recorded.
    pub(crate) async fn prepare(
        &self,
        checked: Checked<CodeExecute>,
        workspace: &str,
    ) -> Result<Ready, Error> {
        let limits = self.limits(&checked)?;
        let driver = self.isolation.driver().await?;
        let language = checked.args.language;
        driver
            .interpreters()
            .path(language)
            .ok_or(Error::NoInterpreter(language))?;
        let in_use = self.sessions.enter(&owner(&checked), workspace)?;
        if over_quota(&in_use.workspace, limits.workspace).await? {
            return Err(FileError::Full {
                limit: limits.workspace,
            }
            .into());
        }
        self.has_room(LEAST_ROOM).await?;
        // Waiting comes before spending: who is not let in may try again with the same grant.
        let waits = self.numbers.waits();
        let admitted = self.admission.enter().await?;
        drop(waits);
        self.authority.redeem(&checked).await?;
        let details = json!({ "isolation": ISOLATION, "limits": limits, "workspace": workspace });
        self.record_start(&checked, details).await?;
        Ok(Ready {
            checked,
            limits,
            in_use,
            driver,
            _admitted: admitted,
            _runs: self.numbers.runs(),
        })
    }

    /// What could not be done for want of room on the broker's own disk would have cost its grant.
    async fn has_room(&self, least: u64) -> Result<(), Error> {
        let sessions = Arc::clone(&self.sessions);
        let looked = tokio::task::spawn_blocking(move || sessions.room());
        let room = looked.await.map_err(io::Error::other).and_then(|room| room);
        let room = room.map_err(Error::store("the disk of the workspaces could not be looked at"))?;
        if room < least {
            return Err(FileError::DiskFull.into());
        }
        Ok(())
    }

    /// Runs what was prepared and passes its output on, without secrets. The end is recorded when this returns.
    pub(crate) async fn run(&self, ready: Ready, frames: &mpsc::Sender<Frame>) -> Result<Report, Error> {
        let Ready {
            checked,
            limits,
            in_use,
            driver,
            _admitted,
            _runs,
        } = ready;
        let spec = SandboxSpec {
            language: checked.args.language,
            program: checked.args.code.clone().into_bytes(),
            env: Vec::new(),
            workspace: in_use.workspace.path().to_owned(),
            limits,
        };
        let (sender, receiver) = mpsc::channel(16);
        let measure = measure(&in_use.workspace, limits.workspace)?;
        let running = async {
            let finished = execute(driver.as_ref(), &spec, measure, &sender).await;
            drop(sender);
            finished
        };
        let mut output = Output::new(frames);
        // Dropping the receiver, as this does when its reader goes away, ends the execution.
        let passing_on = async {
            tokio::select! {
                () = output.pass_on(receiver) => {}
                () = in_use.deleted() => {}
            }
        };
        let (finished, ()) = tokio::join!(running, passing_on);
        if finished
            .as_ref()
            .is_ok_and(|finished| finished.ending.is_its_own())
        {
            output.finish().await;
        }
        let report = finished
            .map(|finished| Report {
                finished,
                redactions: output.counts(),
            })
            .map_err(Error::Driver);
        self.numbers.executed(checked.args.language, report.as_ref());
        let (outcome, details) = match &report {
            Ok(report) => (outcome(report.finished.ending), details(report)),
            Err(error) => (Outcome::Failed, json!({ "error": error.to_string() })),
        };
        self.record_end(&checked, outcome, details).await?;
        report
    }

    /// What the execution may use: what the call asks for, within the operator's maximum and the grant's bounds.
    fn limits(&self, checked: &Checked<CodeExecute>) -> Result<Limits, Error> {
        let bounds = &checked.grant.limits;
        let asked = checked.args.limits;
        let limits = self.defaults.with(asked, self.maximum)?;
        let bounded = LimitsRequest {
            memory: bounds.memory_bytes.map(|bound| limits.memory.min(bound)),
            cpu_millis: bounds.cpu_millis.map(|bound| limits.cpu_millis.min(bound)),
            processes: bounds.processes.map(|bound| limits.processes.min(bound)),
            output: bounds.output_bytes.map(|bound| limits.output.min(bound)),
            time_millis: bounds.time_ms.map(|bound| limits.time_millis.min(bound)),
        };
        Ok(limits.with(bounded, self.maximum)?)
    }

    async fn record_start<T: ToolCall>(&self, checked: &Checked<T>, mut details: Value) -> Result<(), Error> {
        merge(&mut details, checked.args.summary());
        merge(&mut details, json!({ "tool": T::TOOL }));
        let started = event(Kind::ExecStarted, checked).details(details);
        let Err(error) = self.trail.record(started).await else {
            return Ok(());
        };
        // The entry may still come into the log, and must not look like an act that nobody knows the end of.
        let not_begun =
            json!({ "tool": T::TOOL, "error": "not begun: the start could not be recorded in time" });
        self.trail.note(
            event(Kind::ExecFinished, checked)
                .outcome(Outcome::Denied)
                .details(not_begun),
        );
        Err(error.into())
    }

    async fn record_end<T: ToolCall>(
        &self,
        checked: &Checked<T>,
        outcome: Outcome,
        mut details: Value,
    ) -> Result<(), Error> {
        merge(&mut details, json!({ "tool": T::TOOL }));
        let finished = event(Kind::ExecFinished, checked)
            .outcome(outcome)
            .details(details);
        self.trail.record(finished).await.map_err(Error::Unrecorded)
    }
}

/// How sandboxes are isolated, as it is recorded and told.
pub(crate) const ISOLATION: &str = "gvisor";

/// Whose workspaces a call may touch.
fn owner<T>(checked: &Checked<T>) -> Owner {
    Owner {
        tenant: checked.run.tenant.clone(),
        subject: checked.run.subject.clone(),
        session: checked.run.session,
    }
}

fn event<T>(kind: Kind, checked: &Checked<T>) -> Event {
    let Grant {
        tenant,
        call,
        policy_version,
        ..
    } = &checked.grant;
    Event::new(kind, tenant)
        .principal(&Principal::Run(checked.run.clone()))
        .call(*call)
        .policy_version(policy_version.clone())
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn measure(workspace: &Workspace, limit: u64) -> Result<OverQuota, Error> {
    let workspace = workspace
        .try_clone()
        .map_err(Error::store("could not open the workspace"))?;
    Ok(Arc::new(move || workspace.usage().exceeds(limit)))
}

async fn over_quota(workspace: &Workspace, limit: u64) -> Result<bool, Error> {
    let measure = measure(workspace, limit)?;
    let measured = tokio::task::spawn_blocking(move || measure()).await;
    measured.map_err(|panicked| Error::store("the workspace could not be measured")(panicked.into()))
}

const fn outcome(ending: Ending) -> Outcome {
    match ending {
        Ending::Exited(_) | Ending::Signaled(_) => Outcome::Ok,
        Ending::Abandoned => Outcome::Cancelled,
        Ending::MemoryLimit | Ending::TimeLimit | Ending::OutputLimit | Ending::WorkspaceLimit => {
            Outcome::Failed
        }
    }
}

fn details(report: &Report) -> Value {
    let Finished {
        ending,
        output_bytes,
        duration,
        ..
    } = report.finished;
    json!({
        "exit_code": exit_code(ending),
        "limit": limit_reason(ending).map(harombe_error::Reason::as_str),
        "output_bytes": output_bytes,
        "duration_ms": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        "redactions": report.redactions,
    })
}

/// As shells report it: 128 and the signal's number for a program that was killed.
pub(crate) const fn exit_code(ending: Ending) -> i32 {
    match ending {
        Ending::Exited(code) => code,
        Ending::Signaled(signal) => 128 + signal,
        // Stopped by us, with SIGKILL.
        Ending::MemoryLimit
        | Ending::TimeLimit
        | Ending::OutputLimit
        | Ending::WorkspaceLimit
        | Ending::Abandoned => 137,
    }
}

/// The limit that ended it, if one did.
pub(crate) const fn limit_reason(ending: Ending) -> Option<harombe_error::Reason> {
    use harombe_error::Reason;
    match ending {
        Ending::Exited(_) | Ending::Signaled(_) | Ending::Abandoned => None,
        Ending::MemoryLimit => Some(Reason::MemoryLimit),
        Ending::TimeLimit => Some(Reason::TimeLimit),
        Ending::OutputLimit => Some(Reason::OutputLimit),
        Ending::WorkspaceLimit => Some(Reason::WorkspaceFull),
    }
}
