//! `harombe up`: all services in this process, until interrupted.

use std::io::Write as _;
use std::process::ExitCode;

use harombe_telemetry::Options;

use super::Error;
use super::signals::Signals;
use crate::attach::Place;
use crate::compose::{Assembly, Config, ModelSource};
use crate::terminal::Style;

pub(super) async fn run(place: Place, model: Option<ModelSource>) -> Result<ExitCode, Error> {
    let data = place.data()?;
    let named = Place {
        data: Some(data.clone()),
        ..Place::default()
    };
    let config = Config::load(place.config.as_deref())?;
    harombe_telemetry::init(&config.log.options(Options::default())?)?;
    let mut signals = Signals::listen()?;
    let embedded = Assembly::new(&data, config, model).start().await?;
    let mut out = std::io::stdout();
    writeln!(out, "harombe is up")?;
    writeln!(out, "  data      {}", data.display())?;
    writeln!(out, "  socket    {}", embedded.socket().display())?;
    if let Some(public) = embedded.public() {
        writeln!(out, "  public    {public}")?;
    }
    match embedded.isolation().await {
        Ok(isolation) => writeln!(out, "  sandbox   {isolation}, proven from inside")?,
        Err(error) => writeln!(
            out,
            "  sandbox   none, so no code will run: {}",
            Error::from(error).report()
        )?,
    }
    if let Some(key) = embedded.audit_key() {
        writeln!(out, "  log key   {key}")?;
    }
    let style = Style::of_stdout();
    writeln!(out, "in another terminal:")?;
    for command in ["run \"What can you do?\"", "approvals watch"] {
        writeln!(out, "  {}", style.bold(named.command(command)))?;
    }
    writeln!(out, "Ctrl-C ends it.")?;
    out.flush()?;
    signals.next().await;
    writeln!(out, "finishing what was begun …")?;
    Ok(signals.finish(embedded.shutdown()).await)
}
