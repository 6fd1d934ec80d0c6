//! `harombe sandbox run`: an operator's own code in a sandbox; typing the command is the approval, and is recorded so.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use harombe_proto::agent::v1::{CallToolRequest, CreateSessionRequest, DeleteSessionRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, OutputStream, ToolFinished};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::Error;
use crate::attach::{Client, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run code in a fresh sandbox without network; exits with the code's own exit code
    Run(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// python, javascript or shell
    #[arg(long)]
    language: String,
    /// The code itself
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "file",
        required_unless_present = "file"
    )]
    code: Option<String>,
    /// A file with the code; - is standard input
    file: Option<PathBuf>,
}

/// Recorded with the decision (CONTRACTS §8).
const BY_INVOCATION: &str = "approved by invocation: harombe sandbox run";

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let Command::Run(args) = command;
    let code = match (args.code, args.file) {
        (Some(code), _) => code,
        (None, Some(file)) => read(file)?,
        (None, None) => return Err(Error::Usage("give --code TEXT or a FILE".to_owned())),
    };
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let attached = place.attach(None).await?;
    let result = tokio::select! {
        result = execute(attached.client.clone(), &args.language, &code) => result,
        // The call ends with its client.
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Terminated),
    };
    attached.close().await;
    result
}

fn read(file: PathBuf) -> Result<String, Error> {
    let read = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(&file)
    };
    read.map_err(|source| Error::File {
        what: "cannot read",
        path: file,
        source,
    })
}

async fn execute(mut client: Client, language: &str, code: &str) -> Result<ExitCode, Error> {
    let created = client
        .agent
        .create_session(CreateSessionRequest::default())
        .await?
        .into_inner();
    let session_id = created.session.unwrap_or_default().session_id;
    let request = CallToolRequest {
        session_id: session_id.clone(),
        tool: "code_execute".to_owned(),
        arguments: json!({ "language": language, "code": code }).to_string(),
    };
    let finished = follow(&mut client, request).await;
    client
        .agent
        .delete_session(DeleteSessionRequest { session_id })
        .await?;
    let finished = finished?;
    if let Some(code) = finished.exit_code {
        if !finished.reason.is_empty() {
            let reason = finished.reason;
            writeln!(
                std::io::stderr(),
                "harombe: stopped: {reason}; see docs/errors/{reason}.md"
            )?;
        }
        return Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from));
    }
    Err(Error::NotRun {
        told: finished.result,
        reason: finished.reason,
    })
}

async fn follow(client: &mut Client, request: CallToolRequest) -> Result<ToolFinished, Error> {
    let mut stream = client.agent.call_tool(request).await?.into_inner();
    while let Some(response) = stream.message().await? {
        match response.event.and_then(|event| event.event) {
            Some(Event::ApprovalRequired(required)) => {
                client
                    .decide(&required.approval_id, Decision::Approved, false, BY_INVOCATION)
                    .await?;
            }
            Some(Event::ToolOutput(output)) if output.stream == OutputStream::Stderr as i32 => {
                std::io::stderr().write_all(&output.data)?;
            }
            Some(Event::ToolOutput(output)) => {
                let mut out = std::io::stdout();
                out.write_all(&output.data)?;
                out.flush()?;
            }
            Some(Event::ToolFinished(finished)) => return Ok(finished),
            _ => {}
        }
    }
    Err(Error::CutShort)
}
