//! The driver, once its isolation has been proven from inside: before, and without, nothing runs.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harombe_rpc::TaskSet;
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::Config;
use crate::domain::driver::{Driver, DriverError};
use crate::domain::proof::{Proof, Shortcomings};
use crate::error::Error;
use crate::gvisor::{Gvisor, NoRunsc, Runsc, SANDBOX_USER, Unusable};

/// Until what was not as demanded is looked at again: a disk may have room by then, a `runsc` be installed.
const AGAIN: Duration = Duration::from_secs(30);

/// Why nothing can be run.
#[derive(Debug, thiserror::Error)]
pub enum NotIsolated {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("the probe could not be run")]
    Probe(#[from] DriverError),
    #[error(transparent)]
    Shortcomings(#[from] Shortcomings),
    #[error("the driver could not be set up")]
    Setup(#[source] io::Error),
}

/// The runsc that a broker with this configuration would use. Blocks.
///
/// # Errors
/// There is none that is fit; the message says how to get one.
pub fn find_runsc(config: &Config) -> Result<Runsc, NoRunsc> {
    Runsc::find(config.runsc.as_deref(), std::env::var_os("PATH").as_deref())
}

/// Whether a broker with this configuration could run anything here: sets up a driver in a directory of its own, looks
/// out of a sandbox, and judges what was seen.
///
/// # Errors
/// What is missing.
pub async fn prove(config: &Config) -> Result<Proof, NotIsolated> {
    let state = std::env::temp_dir().join(format!("harombe-proof-{}", Uuid::now_v7().as_simple()));
    let proven = match open(config, &state).await {
        Ok((_, proof)) => Ok(proof),
        Err(error) => Err(error),
    };
    let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(state)).await;
    if !matches!(removed, Ok(Ok(()))) {
        tracing::warn!("the probe's directory could not be removed");
    }
    proven
}

/// A driver with its state in `state` and the proof of its isolation.
async fn open(config: &Config, state: &Path) -> Result<(Gvisor, Proof), NotIsolated> {
    let (config, state) = (config.clone(), state.to_owned());
    let opening = tokio::task::spawn_blocking(move || {
        let runsc = find_runsc(&config).map_err(Unusable::from)?;
        Gvisor::open(&state, runsc)
    });
    let driver = opening
        .await
        .map_err(|panicked| NotIsolated::Setup(panicked.into()))??;
    let proof = driver.prove().await?;
    proof.judge(SANDBOX_USER)?;
    Ok((driver, proof))
}

async fn find(config: &Config, state: &Path) -> State {
    match open(config, state).await {
        Ok((driver, proof)) => {
            tracing::info!(kernel = proof.kernel, "the isolation of sandboxes is proven");
            State::Proven(Arc::new(driver))
        }
        Err(error) => {
            let why = chain(&error);
            tracing::error!(
                why,
                "nothing can be run: the isolation of sandboxes is not as demanded"
            );
            State::Unavailable(Arc::new(error))
        }
    }
}

#[derive(Clone)]
enum State {
    Unknown,
    Proven(Arc<dyn Driver>),
    Unavailable(Arc<NotIsolated>),
}

/// Hands out the driver to those who wait for the proof.
#[derive(Clone)]
pub(crate) struct Isolation {
    state: watch::Receiver<State>,
}

impl Isolation {
    /// Sets the driver up in the background, again and again until it is proven: nothing but executions waits for it.
    pub(crate) fn start(config: &Config, state: &Path, tasks: &TaskSet) -> Self {
        Self::start_again(config, state, AGAIN, tasks)
    }

    fn start_again(config: &Config, state: &Path, again: Duration, tasks: &TaskSet) -> Self {
        let (sender, receiver) = watch::channel(State::Unknown);
        let (config, state) = (config.clone(), state.to_owned());
        let stop = tasks.token();
        tasks.spawn(async move {
            loop {
                let found = find(&config, &state).await;
                let proven = matches!(found, State::Proven(_));
                // Nobody listens any more when the service has ended already.
                if sender.send(found).is_err() || proven {
                    return;
                }
                let pause = tokio::time::sleep(again);
                if stop.run_until_cancelled(pause).await.is_none() {
                    return;
                }
            }
        });
        Self { state: receiver }
    }

    /// The driver, once it is proven.
    pub(crate) async fn driver(&self) -> Result<Arc<dyn Driver>, Error> {
        let mut state = self.state.clone();
        let known = state
            .wait_for(|state| !matches!(state, State::Unknown))
            .await
            .map(|known| known.clone());
        match known {
            Ok(State::Proven(driver)) => Ok(driver),
            Ok(State::Unavailable(why)) => Err(Error::Isolation(why)),
            Ok(State::Unknown) | Err(_) => Err(Error::Stopped),
        }
    }
}

/// An error and its causes: for the log, whose reader has to mend it.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn what_was_not_proven_is_proven_once_what_it_lacked_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let runsc = directory.path().join("runsc");
        let config = Config {
            runsc: Some(runsc.clone()),
            ..Config::default()
        };
        let tasks = TaskSet::new();
        let state = directory.path().join("driver");
        let isolation = Isolation::start_again(&config, &state, Duration::from_millis(1), &tasks);
        assert!(matches!(isolation.driver().await, Err(Error::Isolation(_))));
        symlink(find_runsc(&Config::default()).unwrap().path(), runsc).unwrap();
        let mut state = isolation.state.clone();
        let proven = state.wait_for(|state| matches!(state, State::Proven(_))).await;
        drop(proven.unwrap());
        isolation.driver().await.unwrap();
        tasks.shutdown(Duration::from_secs(60)).await;
    }
}
