//! The things that can be measured.

mod audit_append;
mod authorize;
mod bare;
mod classify;
mod message;
mod sandbox_run;
mod world;

use clap::ValueEnum;

use crate::Plan;
use crate::measure::Report;

/// Any failure, in words.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

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
    /// One message without tools through the public door
    Message,
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AuditAppend => "audit-append",
            Self::Authorize => "authorize",
            Self::Classify => "classify",
            Self::SandboxRun => "sandbox-run",
            Self::Message => "message",
        }
    }

    /// How many callers the target of the figure is stated for.
    pub(crate) const fn concurrency(self) -> u32 {
        match self {
            Self::AuditAppend => 256,
            Self::Authorize | Self::Classify | Self::SandboxRun | Self::Message => 1,
        }
    }

    pub(crate) async fn measure(self, plan: &Plan) -> Result<Report> {
        let remote = matches!(self, Self::Message | Self::SandboxRun);
        if plan.target.is_some() && !remote {
            return Err(format!(
                "{} is measured inside of one process; leave --target out",
                self.name()
            )
            .into());
        }
        match self {
            Self::AuditAppend => audit_append::measure(plan).await,
            Self::Authorize => authorize::measure(plan).await,
            Self::Classify => classify::measure(plan),
            Self::SandboxRun => sandbox_run::measure(plan).await,
            Self::Message => message::measure(plan).await,
        }
    }
}
