//! `harombe run`: one message, shown to its end.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use harombe_proto::types::v1::StopReason;
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use super::conversation::{Conversation, End};
use super::error::INTERRUPTED;
use crate::attach::{Client, Place};
use crate::compose::ModelSource;
use crate::terminal::{Answers, Screen};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to say; - reads it from standard input
    message: OsString,
    /// A file to put into the session's workspace first; may be given more than once
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Go on with this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The model behind the default agent, when no server is running: scripted:FILE
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelSource>,
    /// Approve whatever is asked; recorded as unattended
    #[arg(long)]
    yes: bool,
}

/// Longest message that memory takes, in bytes: said here too, so that the answer is the same however long it is.
const LONGEST: usize = 1024 * 1024;

pub(super) async fn run(place: Place, args: Args) -> Result<ExitCode, Error> {
    let message = read(&args.message)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let attached = place.attach(args.model.clone()).await?;
    let result = tokio::select! {
        result = converse(&attached.client, &place, &message, args) => result,
        // The run stays in its journal: the next server on the directory goes on with it.
        _ = terminate.recv() => Err(Error::Terminated),
    };
    attached.close().await;
    result
}

fn read(message: &OsStr) -> Result<String, Error> {
    let mut bytes = message.as_encoded_bytes().to_vec();
    if message == "-" {
        bytes.clear();
        std::io::stdin().read_to_end(&mut bytes)?;
    }
    if bytes.len() > LONGEST {
        return Err(Error::Usage(format!(
            "the message has {} bytes and may have {LONGEST}; put it into a file and give that with --file",
            bytes.len()
        )));
    }
    let no_text = |_| Error::Usage("the message is not UTF-8; say it in UTF-8 text".to_owned());
    String::from_utf8(bytes).map_err(no_text)
}

async fn converse(client: &Client, place: &Place, message: &str, args: Args) -> Result<ExitCode, Error> {
    let answers = Answers::choose(args.yes);
    let screen = Screen::of_stdout();
    let mut conversation = Conversation::open(client.clone(), place, args.session, screen, answers).await?;
    for file in &args.file {
        conversation.upload(file).await?;
    }
    let end = conversation.send(message).await?;
    let session = conversation.session.clone();
    conversation.screen.step("session", &session)?;
    Ok(match end {
        End::Finished(StopReason::Answered) => ExitCode::SUCCESS,
        End::Finished(StopReason::Cancelled) => ExitCode::from(INTERRUPTED),
        End::Finished(_) | End::Failed => ExitCode::FAILURE,
    })
}
