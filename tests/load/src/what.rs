//! The things that can be measured.

mod audit_append;
mod authorize;
mod bare;
mod classify;
mod footprint;
mod gateway_overhead;
mod idle_runs;
mod memory;
mod message;
mod sandbox_run;
mod world;

use std::path::PathBuf;

use clap::ValueEnum;
use harombe::attach::Elsewhere;

use crate::Plan;
use crate::measure::Report;

/// Any failure, in words.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Embedded,
    Processes,
    /// It runs on this data directory.
    Data(PathBuf),
    /// It runs behind this door.
    Door(Elsewhere),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum What {
    /// One event, durable and in the signed tree, through the in-process channel
    AuditAppend,
    /// One LOW call classified, granted and recorded
    Authorize,
    /// One call rated by the default rules, on one core, without any service
    Classify,
    /// Python's print(1) in a fresh sandbox through the public door, beside a bare `runsc run`
    SandboxRun,
    /// One message without tools through the public door; with --memories each recalls some of so many
    Message,
    /// Reading a session from memory over mutual TLS, in turn with reading it through the public door; always processes
    GatewayOverhead,
    /// How fast each service starts and what memory it holds when it idles; always processes
    Footprint,
    /// Questions to memory: new ones, embedding included with --model, and ones that were asked before
    Recall,
    /// Facts saved: durable, on record, and found by their words when the call returns; with --model how embedding follows
    Remember,
    /// Messages, memories, questions and deletions mixed, for as long as --seconds says; a line every minute
    Soak,
    /// Runs that wait for an approval, each with its stream open, and what they cost; always processes
    IdleRuns,
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AuditAppend => "audit-append",
            Self::Authorize => "authorize",
            Self::Classify => "classify",
            Self::SandboxRun => "sandbox-run",
            Self::Message => "message",
            Self::GatewayOverhead => "gateway-overhead",
            Self::Footprint => "footprint",
            Self::IdleRuns => "idle-runs",
            Self::Recall => "recall",
            Self::Remember => "remember",
            Self::Soak => "soak",
        }
    }

    /// How many callers the target of the figure is stated for.
    pub(crate) const fn concurrency(self) -> u32 {
        match self {
            Self::AuditAppend => 256,
            Self::IdleRuns | Self::Remember => 64,
            Self::Soak => 8,
            Self::Recall => 1,
            Self::Authorize | Self::Classify | Self::SandboxRun | Self::Message => 1,
            Self::GatewayOverhead | Self::Footprint => 1,
        }
    }

    pub(crate) async fn measure(self, plan: &Plan) -> Result<Report> {
        self.check(plan)?;
        match self {
            Self::AuditAppend => audit_append::measure(plan).await,
            Self::Authorize => authorize::measure(plan).await,
            Self::Classify => classify::measure(plan),
            Self::SandboxRun => sandbox_run::measure(plan).await,
            Self::Message => message::measure(plan).await,
            Self::GatewayOverhead => gateway_overhead::measure(plan).await,
            Self::Footprint => footprint::measure(plan).await,
            Self::IdleRuns => idle_runs::measure(plan).await,
            Self::Recall => memory::recall::measure(plan).await,
            Self::Remember => memory::remember::measure(plan).await,
            Self::Soak => memory::soak::measure(plan).await,
        }
    }

    /// Whether it can be measured there, and with so many callers.
    fn check(self, plan: &Plan) -> Result<()> {
        let (possible, otherwise) = match self {
            Self::Message | Self::Soak => (true, ""),
            Self::SandboxRun => (!matches!(plan.place, Place::Processes), "not with --processes"),
            Self::GatewayOverhead | Self::Footprint | Self::IdleRuns => (
                matches!(plan.place, Place::Embedded | Place::Processes),
                "as processes of its own; leave --target and --server out",
            ),
            Self::AuditAppend | Self::Authorize | Self::Classify | Self::Recall | Self::Remember => (
                matches!(plan.place, Place::Embedded),
                "inside of one process; leave --target, --server and --processes out",
            ),
        };
        if !possible {
            return Err(format!("{} is measured {otherwise}", self.name()).into());
        }
        let one_by_one = matches!(self, Self::SandboxRun | Self::GatewayOverhead | Self::Footprint);
        if one_by_one && plan.concurrency != 1 {
            return Err(format!(
                "{} is measured one after the other; leave --concurrency out",
                self.name()
            )
            .into());
        }
        Ok(())
    }
}
