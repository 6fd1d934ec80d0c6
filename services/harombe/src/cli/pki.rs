//! `harombe pki`: certificates for services that are processes of their own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use harombe_types::{ServiceName, SystemClock};

use super::{Error, serve};
use crate::compose::{init, renew};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a CA and a certificate for every service; overwrites nothing
    Init {
        /// Where to: a directory that is absent or empty
        dir: PathBuf,
        /// In every service's name: spiffe://NAME/svc/SERVICE
        #[arg(long, value_name = "NAME", default_value = "harombe")]
        trust_domain: String,
    },
    /// Make new certificates and keys by the CA that is there
    Renew {
        /// What `harombe pki init` made
        dir: PathBuf,
        /// Only for these [default: all]
        #[arg(value_parser = serve::service)]
        services: Vec<ServiceName>,
    },
}

pub(super) fn run(command: Command) -> Result<ExitCode, Error> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Init { dir, trust_domain } => {
            init(&dir, &trust_domain, &SystemClock)?;
            writeln!(
                out,
                "a CA and certificates for seven services are in {}",
                dir.display()
            )?;
            keep(&mut out, &dir)?;
        }
        Command::Renew { dir, services } => {
            let services = match services.as_slice() {
                [] => &ServiceName::SERVICES[..],
                named => named,
            };
            renew(&dir, services, &SystemClock)?;
            for service in services {
                writeln!(
                    out,
                    "{service} has a new certificate, which it uses from its next start"
                )?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn keep(out: &mut impl std::io::Write, dir: &Path) -> std::io::Result<()> {
    let key = dir.join("ca.key");
    writeln!(
        out,
        "A service needs its own folder there and nothing else. Keep {} away from all of them: whoever has it can be any service.",
        key.display()
    )
}
