//! `harombe serve`: one service in this process, until it is told to end.

use std::io::Write as _;
use std::process::ExitCode;

use harombe_telemetry::{Format, Options};
use harombe_types::ServiceName;

use super::Error;
use super::signals::Signals;
use crate::attach::Place;
use crate::compose::{Config, Process};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// gateway, runtime, memory, sandbox-broker, egress-proxy, hitl or audit
    #[arg(value_parser = service)]
    service: ServiceName,
}

pub(super) fn service(text: &str) -> Result<ServiceName, String> {
    let known = text
        .parse()
        .ok()
        .filter(|name| ServiceName::SERVICES.contains(name));
    known.ok_or_else(|| {
        let names: Vec<_> = ServiceName::SERVICES.iter().map(|name| name.as_str()).collect();
        format!("the services are {}", names.join(", "))
    })
}

pub(super) async fn run(place: Place, args: Args) -> Result<ExitCode, Error> {
    let data = place.data()?;
    let config = Config::load(place.config.as_deref())?;
    let log = config.log.options(Options {
        format: Format::Json,
        filter: "info".to_owned(),
    })?;
    harombe_telemetry::init(&log)?;
    let mut signals = Signals::listen()?;
    let serving = Process::new(args.service, &data, config).start().await?;
    let mut out = std::io::stdout();
    let (service, address, ops) = (args.service, serving.address(), serving.ops());
    writeln!(
        out,
        "{service} is ready on {address}; health and metrics are on http://{ops}"
    )?;
    out.flush()?;
    signals.next().await;
    writeln!(out, "finishing what was begun …")?;
    Ok(signals.finish(serving.shutdown()).await)
}
