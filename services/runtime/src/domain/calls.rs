//! One tool call, from what the model wrote to what it is told: checked, allowed, approved, performed, recorded.

mod approval;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_error::{Failure, Reason};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Risk, ToolFinished, ToolOutcome, ToolStarted};
use harombe_types::{Clock, RunPrincipal, Timestamp};
use tokio::sync::{OnceCell, watch};

use super::events::{Entry, Events, Stop};
use super::state::{OpenCall, State};
use super::tools::{Act, Tool};
use super::{dispatch, remembered};
use crate::metrics::Numbers;
use crate::peers::{Authorization, Decision, Peers, Permission};

/// Characters of a name that no tool has which the model is told again.
const MAX_NAME: usize = 100;

/// Everything that the calls of one run share.
pub(crate) struct Calls {
    /// The services that act.
    pub peers: Peers,
    /// For whom.
    pub principal: RunPrincipal,
    /// By what right.
    pub token: Arc<str>,
    /// What may be called.
    pub tools: Vec<Arc<Tool>>,
    /// Bytes of an answer that the model is told.
    pub result_limit: usize,
    /// For durations.
    pub clock: Arc<dyn Clock>,
    /// What this node does, in numbers.
    numbers: Arc<Numbers>,
    /// The session's workspace.
    pub workspace: Workspace,
    /// Whether the model has been shown what may be anybody's words.
    pub outside: AtomicBool,
    /// How many of them wait for a person now.
    waiting: watch::Sender<usize>,
}

/// The session's workspace, opened once.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    known: Option<String>,
    open: OnceCell<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    /// In a word.
    pub outcome: ToolOutcome,
    /// What the model is told.
    pub text: String,
    /// A stable reason, where there is one.
    pub reason: Option<Reason>,
    /// Secrets taken out of the text, by kind.
    pub redactions: BTreeMap<String, u32>,
    /// Of executed code.
    pub exit_code: Option<i32>,
}

/// A call that may be performed.
pub(crate) struct Allowed<'a> {
    /// The call.
    pub open: &'a OpenCall,
    /// Its tool.
    pub tool: &'a Tool,
    /// What is shown to the service that performs it.
    pub permission: Permission,
    /// Its checked arguments.
    pub arguments: serde_json::Value,
    /// As hitl rated it.
    pub risk: Risk,
}

impl Calls {
    /// Calls on behalf of this principal, by right of its token.
    pub(crate) fn new(
        peers: Peers,
        (principal, token): (RunPrincipal, Arc<str>),
        tools: Vec<Arc<Tool>>,
        result_limit: usize,
        (clock, numbers): (Arc<dyn Clock>, Arc<Numbers>),
        workspace: Workspace,
    ) -> Self {
        Self {
            peers,
            principal,
            token,
            tools,
            result_limit,
            clock,
            numbers,
            workspace,
            outside: AtomicBool::new(false),
            waiting: watch::Sender::new(0),
        }
    }

    /// How many of the calls wait for a person.
    pub(crate) fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    /// Takes the call as far as it goes and returns what the model is told.
    ///
    /// # Errors
    /// [`Stop`] when nothing more may be written.
    pub(crate) async fn perform(&self, open: &OpenCall, events: &dyn Events) -> Result<String, Stop> {
        let (tool, arguments, call) = match self.read(open) {
            Ok(read) => read,
            Err(refused) => return self.refuse(open, refused, events).await,
        };
        if let Act::Remembered(act) = tool.act {
            let began = self.clock.now();
            let work = remembered::perform(self, (open, tool, act), &arguments, events);
            let finished = Box::pin(work).await?;
            return self.finish(open, finished, began, events).await;
        }
        let allowed = self.allow((open, tool, arguments), &call, events).await?;
        // How long somebody thought about it is not the call's time.
        let began = self.clock.now();
        let finished = match allowed {
            Ok(allowed) => Box::pin(dispatch::dispatch(self, allowed, events)).await?,
            Err(refused) => refused,
        };
        self.finish(open, finished, began, events).await
    }

    /// Records a result that was decided without performing anything.
    ///
    /// # Errors
    /// [`Stop`] when nothing more may be written.
    pub(crate) async fn refuse(
        &self,
        open: &OpenCall,
        finished: Finished,
        events: &dyn Events,
    ) -> Result<String, Stop> {
        self.finish(open, finished, self.clock.now(), events).await
    }

    async fn finish(
        &self,
        open: &OpenCall,
        finished: Finished,
        began: Timestamp,
        events: &dyn Events,
    ) -> Result<String, Stop> {
        let Finished {
            outcome,
            text,
            reason,
            redactions,
            exit_code,
        } = finished;
        let duration = began.until(self.clock.now());
        let event = ToolFinished {
            call_id: open.call.id.to_string(),
            tool: open.call.tool.clone(),
            outcome: outcome.into(),
            result: text.clone(),
            reason: reason
                .map(|reason| reason.as_str().to_owned())
                .unwrap_or_default(),
            redactions,
            exit_code,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        };
        events.record(vec![Event::ToolFinished(event).into()]).await?;
        let tool = self.tools.iter().find(|tool| tool.name == open.call.tool);
        self.numbers.called(tool.map(|tool| tool.name), outcome);
        Ok(text)
    }

    /// Everything before the effect.
    async fn allow<'a>(
        &'a self,
        (open, tool, arguments): (&'a OpenCall, &'a Tool, serde_json::Value),
        call: &CanonicalCall,
        events: &dyn Events,
    ) -> Result<Result<Allowed<'a>, Finished>, Stop> {
        if tool.goes_out()
            && let Err(refused) = Box::pin(self.check_egress(call)).await
        {
            return Ok(Err(refused));
        }
        let hitl = &self.peers.hitl;
        let answer = Box::pin(hitl.authorize(&self.token, call.bytes(), self.clock.now())).await;
        let Authorization {
            risk,
            reasons,
            decision,
        } = match answer {
            Ok(authorization) => authorization,
            Err(failure) => return Ok(Err(Finished::denied(failure.reason, failure.message))),
        };
        let grant = match decision {
            Decision::Granted(grant) => grant,
            Decision::AlreadyRedeemed => return Ok(Err(Finished::unknown(Reason::GrantRedeemed))),
            Decision::Pending { approval, deadline } => {
                let shown = (risk, reasons, deadline);
                match self.approval(open, &approval, shown, events).await? {
                    Ok(grant) => grant,
                    Err(refused) => return Ok(Err(refused)),
                }
            }
        };
        let permission = Permission {
            token: self.token.clone(),
            grant,
            call: call.bytes().to_vec().into(),
        };
        Ok(Ok(Allowed {
            open,
            tool,
            permission,
            arguments,
            risk,
        }))
    }

    fn read(&self, open: &OpenCall) -> Result<(&Tool, serde_json::Value, CanonicalCall), Finished> {
        let name = &open.call.tool;
        let Some(tool) = self.tools.iter().find(|tool| tool.name == name) else {
            let names: Vec<_> = self.tools.iter().map(|tool| tool.name).collect();
            let name: String = name.chars().take(MAX_NAME).collect();
            let text = format!("There is no tool {name:?}. The tools are: {}.", names.join(", "));
            return Err(Finished::invalid(Reason::ToolUnknown, text));
        };
        let arguments = tool.arguments(&open.call.arguments).map_err(|fault| {
            Finished::invalid(Reason::CallInvalid, format!("The call was not made: {fault}."))
        })?;
        let RunPrincipal {
            tenant, agent, run, ..
        } = &self.principal;
        let call = CanonicalCall::new(CallParts {
            tenant: tenant.as_str(),
            agent: agent.as_str(),
            run: &run.to_string(),
            call: &open.call.id.to_string(),
            tool: tool.name,
            args: &arguments,
        })
        .map_err(|error| {
            Finished::invalid(Reason::CallInvalid, format!("The call was not made: {error}."))
        })?;
        Ok((tool, arguments, call))
    }

    /// What no approval can make possible is denied before anybody is asked.
    async fn check_egress(&self, call: &CanonicalCall) -> Result<(), Finished> {
        match self.peers.egress.check(&self.token, call.bytes()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Finished::denied(
                Reason::EgressDenied,
                format!("The egress policy denies it: {why}."),
            )),
            Err(failure) => Err(Finished::denied(failure.reason, failure.message)),
        }
    }

    /// The session's workspace, made at first use.
    ///
    /// # Errors
    /// As the broker or memory answered.
    pub(crate) async fn workspace(&self) -> Result<String, Failure> {
        let opened = self.workspace.open.get_or_try_init(|| async {
            let known = self.workspace.known.as_deref();
            let opened = self.peers.sandbox.open_workspace(&self.token, known).await?;
            if known.is_some() {
                return Ok(opened);
            }
            let bound = self
                .peers
                .memory
                .attach_workspace(&self.token, opened.clone())
                .await?;
            if bound == opened {
                return Ok(opened);
            }
            // another run of the session was first
            self.peers.sandbox.open_workspace(&self.token, Some(&bound)).await
        });
        opened.await.cloned()
    }
}

impl Workspace {
    /// The one that the session has, if it has one.
    pub(crate) fn new(known: Option<String>) -> Self {
        Self {
            known,
            open: OnceCell::new(),
        }
    }
}

impl Allowed<'_> {
    /// The event that tells clients that the effect begins.
    pub(crate) fn started(&self, isolation: &str) -> Event {
        Event::ToolStarted(ToolStarted {
            call_id: self.open.call.id.to_string(),
            tool: self.tool.name.to_owned(),
            risk: self.risk.into(),
            isolation: isolation.to_owned(),
        })
    }

    /// What a node that takes over must know before the effect begins.
    pub(crate) fn dispatched(&self) -> Entry {
        State::Dispatched {
            call: self.open.call.id,
        }
        .into()
    }
}

impl Finished {
    fn new(outcome: ToolOutcome, reason: Option<Reason>, text: impl Into<String>) -> Self {
        Self {
            outcome,
            text: text.into(),
            reason,
            redactions: BTreeMap::new(),
            exit_code: None,
        }
    }

    /// It ran, and this came of it.
    pub(crate) fn ok(text: impl Into<String>) -> Self {
        Self::new(ToolOutcome::Ok, None, text)
    }

    /// It ran and did not succeed.
    pub(crate) fn failed(reason: Option<Reason>, text: impl Into<String>) -> Self {
        Self::new(ToolOutcome::Failed, reason, text)
    }

    /// It was not run because somebody or something said no, or could not be asked.
    pub(crate) fn denied(reason: Reason, text: impl Into<String>) -> Self {
        Self::new(ToolOutcome::Denied, Some(reason), text)
    }

    /// It was not run because it makes no sense.
    pub(crate) fn invalid(reason: Reason, text: impl Into<String>) -> Self {
        Self::new(ToolOutcome::Invalid, Some(reason), text)
    }

    /// It may have run.
    pub(crate) fn unknown(reason: Reason) -> Self {
        let text = "The outcome of this call is unknown: it was interrupted and may or may not have taken effect. \
                    It is not repeated by itself; check before you try again.";
        Self::new(ToolOutcome::Unknown, Some(reason), text)
    }
}
