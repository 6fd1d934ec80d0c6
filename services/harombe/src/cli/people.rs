//! `harombe people`: what an admin can do about the people of their tenant.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use harombe_proto::agent::v1::{ErasePersonRequest, ErasePersonResponse};
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Code, Request, Status};

use super::Error;
use crate::attach::{Client, Place};
use crate::terminal::{Keyboard, Surface, View};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Erase what is kept of a person of your tenant, for good, and revoke their keys
    Erase {
        /// Their name, as `keys list` shows it behind the tenant's
        subject: String,
        /// Do not ask for the name once more
        #[arg(long)]
        yes: bool,
    },
}

/// Longer than a gateway goes on with one call.
const PATIENCE: Duration = Duration::from_secs(11 * 60);

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let Command::Erase { subject, yes } = command;
    if !yes {
        confirm(&subject).await?;
    }
    let attached = place.attach(None).await?;
    let erased = erase(attached.client.clone(), &subject).await;
    attached.close().await;
    let mut view = View::new(std::io::stdout(), Surface::of_stdout());
    for line in told(&subject, &erased?) {
        view.note(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the name typed by a person who is told what they are about to do.
async fn confirm(subject: &str) -> Result<(), Error> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let told =
            format!("nobody is at a terminal to be asked whether to erase {subject:?}; say so with --yes");
        return Err(Error::Usage(told));
    }
    // Before anything is asked, so that a signal does not go by unseen.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let keyboard = Keyboard::open()?;
    let mut view = View::new(std::io::stdout(), Surface::of_stdout());
    view.note(&format!(
        "This revokes the keys of {subject}, ends their runs, erases their sessions, memories, files and requests for \
         approval, and destroys the key to the details of what they did in the log."
    ))?;
    view.note("Nobody can undo it.")?;
    keyboard.expect()?;
    view.ask("type the name to go on:")?;
    let typed = tokio::select! {
        line = keyboard.line() => line?,
        _ = interrupt.recv() => {
            view.rests()?;
            return Err(Error::Interrupted);
        }
    };
    match typed {
        Some(name) if name == subject => {
            view.was_answered();
            Ok(())
        }
        Some(_) => {
            view.was_answered();
            Err(Error::Usage(
                "that is another name; nothing was erased".to_owned(),
            ))
        }
        None => {
            view.rests()?;
            Err(Error::Usage("no name was typed; nothing was erased".to_owned()))
        }
    }
}

async fn erase(mut client: Client, subject: &str) -> Result<ErasePersonResponse, Error> {
    let mut request = Request::new(ErasePersonRequest {
        subject: subject.to_owned(),
    });
    request.set_timeout(PATIENCE);
    let erased = client.people.erase_person(request).await;
    Ok(erased.map_err(of_people)?.into_inner())
}

fn of_people(status: Status) -> Error {
    if status.code() == Code::Unimplemented {
        let told = "this server cannot erase people; bring it up to this program's version";
        return Error::Usage(told.to_owned());
    }
    status.into()
}

/// What was done, in sentences. A call that was repeated because its answer was lost tells what was left for the last one.
fn told(subject: &str, erased: &ErasePersonResponse) -> Vec<String> {
    let ErasePersonResponse {
        keys,
        sessions,
        memories,
        workspaces,
        approvals,
        data_keys,
    } = *erased;
    let mut lines = Vec::new();
    if keys > 0 {
        lines.push(format!("revoked: {}", counted(keys, "key", "keys")));
    }
    let erased: Vec<_> = [
        (sessions, "session", "sessions"),
        (memories, "memory", "memories"),
        (workspaces, "workspace", "workspaces"),
        (approvals, "approval", "approvals"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| counted(count, one, many))
    .collect();
    if !erased.is_empty() {
        lines.push(format!("erased: {}", erased.join(", ")));
    }
    if data_keys > 0 {
        lines.push("destroyed: the key to the details of what they did in the log".to_owned());
    }
    lines.push(format!(
        "Nothing is left of {subject} but what SECURITY.md names."
    ));
    lines
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(erased: ErasePersonResponse, expected: &[&str]) {
        let mut lines = told("ann", &erased);
        assert_eq!(
            lines.pop().as_deref(),
            Some("Nothing is left of ann but what SECURITY.md names.")
        );
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_was_done_is_told_and_what_was_not_is_not() {
        check(ErasePersonResponse::default(), &[]);
        let all = ErasePersonResponse {
            keys: 1,
            sessions: 2,
            memories: 1,
            workspaces: 1,
            approvals: 30,
            data_keys: 1,
        };
        check(
            all,
            &[
                "revoked: 1 key",
                "erased: 2 sessions, 1 memory, 1 workspace, 30 approvals",
                "destroyed: the key to the details of what they did in the log",
            ],
        );
        let some = ErasePersonResponse {
            memories: 2,
            ..ErasePersonResponse::default()
        };
        check(some, &["erased: 2 memories"]);
    }
}
