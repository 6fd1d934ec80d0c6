//! `harombe approvals`: what waits for a person, and the person's answer.

use std::process::ExitCode;

use clap::Subcommand;
use harombe_proto::hitl::v1::{ListRequest, WatchRequest};
use harombe_proto::types::v1::Decision;

use super::Error;
use crate::attach::{Client, Place};
use crate::terminal::Screen;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what waits for a decision
    List {
        /// Also what was decided or expired
        #[arg(long)]
        all: bool,
    },
    /// Show each approval as it is asked for and decided
    Watch,
    /// Say yes
    Approve(Answer),
    /// Say no
    Deny(Answer),
}

#[derive(Debug, clap::Args)]
pub(super) struct Answer {
    /// The approval's id
    id: String,
    /// Kept with the decision
    #[arg(long, default_value = "")]
    comment: String,
}

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let mut client = place.attach_to_running().await?;
    match command {
        Command::List { all } => list(&mut client, all).await?,
        Command::Watch => watch(&mut client).await?,
        Command::Approve(answer) => decide(&mut client, &answer, Decision::Approved).await?,
        Command::Deny(answer) => decide(&mut client, &answer, Decision::Denied).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &mut Client, include_decided: bool) -> Result<(), Error> {
    let mut screen = Screen::of_stdout();
    let mut request = ListRequest {
        include_decided,
        ..ListRequest::default()
    };
    let mut shown = 0;
    loop {
        let listed = client.approvals.list(request.clone()).await?.into_inner();
        for approval in &listed.approvals {
            screen.approval(approval)?;
        }
        shown += listed.approvals.len();
        request.page_token = listed.next_page_token;
        // Everything that waits can be answered; of what is decided, the newest are enough.
        if include_decided || request.page_token.is_empty() {
            break;
        }
    }
    if shown == 0 {
        screen.step(
            "approvals",
            if include_decided { "none" } else { "nothing waits" },
        )?;
    }
    Ok(())
}

async fn watch(client: &mut Client) -> Result<(), Error> {
    let mut stream = client.approvals.watch(WatchRequest {}).await?.into_inner();
    let mut screen = Screen::of_stdout();
    while let Some(response) = stream.message().await? {
        screen.approval(&response.approval.unwrap_or_default())?;
    }
    Ok(())
}

async fn decide(client: &mut Client, answer: &Answer, decision: Decision) -> Result<(), Error> {
    client
        .decide(&answer.id, decision, false, &answer.comment)
        .await?;
    let approval = client.approval(&answer.id).await?;
    Screen::of_stdout().approval(&approval)?;
    Ok(())
}
