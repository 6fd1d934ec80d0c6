//! `harombe doctor`: whether this machine can run it all, and what to do where it cannot.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use harombe_embedding::{DEFAULT_MODEL, known};

use super::error::report;
use super::{Error, models};
use crate::attach::Place;
use crate::compose::Config;
use crate::terminal::Style;

/// What one check found.
enum Finding {
    Good(String),
    /// What all works without, only less well.
    Less(String),
    /// What is wrong, and what to do.
    Bad(String),
}

pub(super) async fn run(place: Place) -> Result<ExitCode, Error> {
    let config = Config::load(place.config.as_deref())?;
    let data = place.data()?;
    let checks = [
        ("platform", platform()),
        ("user", user()),
        ("data", writable(&data)),
        ("runsc", runsc(&config)),
        ("sandbox", sandbox(&config).await),
        ("model", model(&config, &data, &place).await?),
        ("server", server(&place).await),
    ];
    let style = Style::of_stdout();
    let mut out = std::io::stdout();
    let mut all_good = true;
    for (name, finding) in &checks {
        match finding {
            Finding::Good(text) => writeln!(out, "{} {name:<10} {text}", style.good("ok  "))?,
            Finding::Less(text) => writeln!(out, "note {name:<10} {text}")?,
            Finding::Bad(text) => {
                all_good = false;
                writeln!(out, "{} {name:<10} {text}", style.bad("fail"))?;
            }
        }
    }
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn platform() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        Finding::Good(format!("Linux {release}, x86-64"))
    } else {
        Finding::Bad(format!(
            "{} is not supported; Harombe needs Linux on x86-64",
            std::env::consts::ARCH
        ))
    }
}

fn user() -> Finding {
    if rustix::process::geteuid().is_root() {
        Finding::Good("root, which sandboxes need".to_owned())
    } else {
        Finding::Bad("not root; sandboxes need it: run as root".to_owned())
    }
}

fn writable(data: &Path) -> Finding {
    // The nearest directory that exists is where the rest would be made.
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(data);
    match tempfile::tempfile_in(existing) {
        Ok(_) => Finding::Good(format!("{} can be written", data.display())),
        Err(error) => Finding::Bad(format!(
            "{} cannot be written: {error}; name another with --data DIR",
            data.display()
        )),
    }
}

async fn sandbox(config: &Config) -> Finding {
    match harombe_sandbox_broker::prove(&config.sandbox_broker).await {
        Ok(proof) => Finding::Good(format!(
            "gvisor, proven from inside; its kernel says: {}",
            proof.kernel
        )),
        Err(error) => Finding::Bad(report(&error)),
    }
}

fn runsc(config: &Config) -> Finding {
    match harombe_sandbox_broker::find_runsc(&config.sandbox_broker) {
        Ok(runsc) => Finding::Good(format!("{} knows systrap", runsc.path().display())),
        Err(error) => Finding::Bad(report(&error)),
    }
}

/// The model that memories are found with by their meaning. A running server takes one up that is put there.
async fn model(config: &Config, data: &Path, place: &Place) -> Result<Finding, Error> {
    let embedding = &config.memory.embedding;
    if let Some(upstream) = &embedding.upstream {
        let (model, name) = (&upstream.model, &upstream.name);
        return Ok(Finding::Good(format!(
            "memories are embedded by {model}, behind the upstream {name}"
        )));
    }
    let pull = place.command("models pull");
    let usual = data.join("models").join(DEFAULT_MODEL);
    let folder = embedding.folder.as_ref().unwrap_or(&usual);
    let checked = models::checked(folder.clone(), known(DEFAULT_MODEL)?).await?;
    Ok(match checked {
        Ok(()) => Finding::Good(format!(
            "{DEFAULT_MODEL} in {}, as it was published",
            folder.display()
        )),
        Err(harombe_embedding::Error::ModelAbsent { .. })
            if embedding.folder.is_none() && !usual.exists() =>
        {
            Finding::Less(format!(
                "no embedding model, so memories are found by their words alone; {pull} gets it"
            ))
        }
        Err(error) if embedding.folder.is_none() => Finding::Bad(report(&error)),
        Err(error) => Finding::Bad(format!(
            "{}, and is looked for where memory.embedding.folder says: leave that out, or put the files there",
            report(&error)
        )),
    })
}

async fn server(place: &Place) -> Finding {
    let place = &Place {
        server: None,
        ..place.clone()
    };
    Finding::Good(match place.attach_to_running().await {
        Ok(_) => "running on this data directory".to_owned(),
        Err(_) => format!("not running; {} starts it", place.command("up")),
    })
}
