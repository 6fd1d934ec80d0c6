//! `harombe run`: one message, shown to its end.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Error;
use super::conversation::{Conversation, End};
use crate::attach::Place;
use crate::compose::ModelSource;
use crate::terminal::{Answers, Screen, Style};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to say
    message: String,
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

pub(super) async fn run(place: Place, args: Args) -> Result<ExitCode, Error> {
    let attached = place.attach(args.model.clone()).await?;
    let result = converse(&attached.client, args).await;
    attached.close().await;
    result
}

async fn converse(client: &crate::attach::Client, args: Args) -> Result<ExitCode, Error> {
    let screen = Screen::new(std::io::stdout(), Style::of_stdout());
    let answers = Answers::choose(args.yes);
    let mut conversation = Conversation::open(client.clone(), args.session, screen, answers).await?;
    for file in &args.file {
        conversation.upload(file).await?;
    }
    let end = conversation.send(&args.message).await?;
    let session = conversation.session.clone();
    conversation.screen.step("session", &session)?;
    Ok(match end {
        End::Finished => ExitCode::SUCCESS,
        End::Failed(_) => ExitCode::FAILURE,
    })
}
