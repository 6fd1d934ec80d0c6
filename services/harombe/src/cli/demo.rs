//! `harombe demo`: the main job, told as it happens. An ordinary client: every line about what happened is made from a run
//! event or from an audit entry that was read back.

mod log;

use std::fs::DirBuilder;
use std::io::Stdout;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use harombe_audit::files::Leaf;
use harombe_proto::agent::v1::CreateSessionRequest;
use harombe_proto::audit::v1::Entry;
use harombe_proto::memory::v1::{ListMemoriesRequest, MemoryFilter};
use harombe_proto::types::v1::StopReason;
use http::Uri;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tonic::Status;

use super::Error;
use super::conversation::{Conversation, End};
use super::moments::of_memories;
use crate::attach::{Client, Place};
use crate::compose::{Assembly, Config, ModelSource, StartError};
use crate::terminal::{Answers, Screen};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Approve whatever is asked; recorded as unattended
    #[arg(long)]
    yes: bool,
    /// With --server: where that server's audit service keeps its log, to check it there
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
}

const ORDERS: &[u8] = include_bytes!("../../../../deploy/demo/orders.csv");
const SCRIPT: &str = include_str!("../../../../deploy/demo/model.toml");
/// Said in a conversation before, and recalled in the one that is told.
const EARLIER: &str =
    "From now on, when you report what the regions earned, name the one that earned most first.";
const MESSAGE: &str = "Which region earned most in 2025? The orders are in orders.csv. Please also compare with our published figures.";

/// How long it may take until the first conversation is remembered, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// After that it is told what is waited for.
const SOON: Duration = Duration::from_secs(3);
/// Between two questions for it.
const AGAIN: Duration = Duration::from_millis(100);

type Terminal = Screen<Stdout>;

pub(super) async fn run(place: Place, args: Args) -> Result<ExitCode, Error> {
    match &place.server {
        Some(server) => elsewhere(&place, &server.url, args).await,
        None if args.audit.is_some() => Err(Error::Usage(
            "--audit is for a server that runs already; name it with --server URL".to_owned(),
        )),
        None => here(place, args).await,
    }
}

/// The same job on a server that somebody else runs, by whatever model its agent has.
async fn elsewhere(place: &Place, url: &Uri, args: Args) -> Result<ExitCode, Error> {
    let client = place.attach_to_running().await?;
    let mut screen = Screen::of_stdout();
    screen.step(
        "harombe",
        &format!("the server at {url}; what answers is the model of its default agent"),
    )?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told = tokio::select! {
        told = tell(client, place, screen, Answers::choose(args.yes)) => told,
        _ = terminate.recv() => Err(Error::Terminated),
    };
    let (mut screen, victim) = told?;
    match args.audit {
        Some(log) => log::check(&mut screen, &log, &victim).await?,
        None => screen.chapter(
            "unchecked",
            "the log's files are with the server; check them there with `harombe audit verify`, or here with --audit DIR",
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All of it in this process, in a directory of its own.
async fn here(place: Place, args: Args) -> Result<ExitCode, Error> {
    let config = Config::load(place.config.as_deref())?;
    let home = Home::open(place.data.as_deref())?;
    let script = home.path.join("model.toml");
    std::fs::write(&script, SCRIPT).map_err(|source| home.fault(source))?;

    let mut terminate = signal(SignalKind::terminate())?;
    let embedded = Assembly::new(&home.path, config, Some(ModelSource::Scripted(script)))
        .start()
        .await?;
    let isolation = embedded.isolation().await?;
    let mut screen = Screen::of_stdout();
    screen.step(
        "harombe",
        "seven services in this process; the model is scripted, everything else is real",
    )?;
    screen.detail(&format!(
        "sandbox {}: the isolation was proven from inside",
        screen.style().good(isolation)
    ))?;
    let client = Client::at(&embedded.socket())?;
    let here = Place {
        data: Some(home.path.clone()),
        ..place
    };
    let told = tokio::select! {
        told = tell(client, &here, screen, Answers::choose(args.yes)) => told,
        _ = terminate.recv() => Err(Error::Terminated),
    };
    embedded.shutdown().await;
    let (mut screen, victim) = told?;

    log::check(&mut screen, &home.path.join("audit"), &victim).await?;
    screen.chapter("data", &home.fate())?;
    Ok(ExitCode::SUCCESS)
}

/// A short conversation before the main one, which is a session of its own. What was said in it is remembered a moment after
/// it has ended. A server that remembers nothing, or gives nobody a way to it, does the main job all the same.
async fn before(conversation: &mut Conversation<Stdout>) -> Result<(), Error> {
    finished(&conversation.send(EARLIER).await?)?;
    let session = conversation.session.clone();
    let remembered = {
        let remembered = remembered(conversation.client.clone(), &session);
        tokio::pin!(remembered);
        match timeout(SOON, &mut remembered).await {
            Ok(remembered) => Ok(remembered),
            Err(_) => {
                conversation.screen.detail("waiting until this is remembered …")?;
                timeout(PATIENCE, remembered).await
            }
        }
    };
    let missing = match remembered {
        Ok(Ok(())) => None,
        Ok(Err(status)) => Some(of_memories(status).report()),
        Err(_) => Some(format!("it was not, within {} s", PATIENCE.as_secs())),
    };
    if let Some(why) = missing {
        let line = format!("whether this is remembered cannot be seen, so it may be missing below: {why}");
        conversation.screen.detail(&line)?;
    }
    let created = conversation
        .client
        .agent
        .create_session(CreateSessionRequest::default())
        .await?;
    conversation.session = created.into_inner().session.unwrap_or_default().session_id;
    let screen = &mut conversation.screen;
    screen.chapter(
        "next",
        "a session of its own, which knows of the first what is remembered",
    )?;
    Ok(())
}

/// Waits until a message and its answer are remembered.
async fn remembered(mut client: Client, session: &str) -> Result<(), Status> {
    loop {
        let request = ListMemoriesRequest {
            filter: Some(MemoryFilter {
                session_ids: vec![session.to_owned()],
                ..MemoryFilter::default()
            }),
            ..ListMemoriesRequest::default()
        };
        let listed = client.memories.list_memories(request).await?.into_inner();
        if listed.memories.len() >= 2 {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn finished(end: &End) -> Result<(), Error> {
    match end {
        End::Finished(StopReason::Cancelled) => Err(Error::Interrupted),
        End::Finished(_) => Ok(()),
        End::Failed => Err(Error::Usage("the run failed, as said above".to_owned())),
    }
}

/// The messages and what they set off; then what the log has about the second. Returns an entry of the log that is worth
/// forging.
async fn tell(
    client: Client,
    place: &Place,
    screen: Terminal,
    answers: Answers,
) -> Result<(Terminal, Entry), Error> {
    let mut conversation = Conversation::open(client, place, None, screen, answers).await?;
    before(&mut conversation).await?;
    conversation.upload_bytes("orders.csv", ORDERS.to_vec()).await?;
    let end = conversation.send(MESSAGE).await?;
    let Conversation {
        mut client,
        session,
        mut screen,
        ..
    } = conversation;
    finished(&end)?;

    let entries = log::entries(&mut client, &session).await?;
    let line = format!("{} entries about this, read back from the log", entries.len());
    screen.chapter("audit", &line)?;
    let decoded = entries.iter().map(|entry| Leaf::decode(&entry.leaf));
    let leaves = decoded
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Usage(error.to_string()))?;
    for line in log::summary(&leaves, screen.style()) {
        screen.detail(&line)?;
    }
    if leaves
        .iter()
        .any(|leaf| leaf.kind == "approval.decided" && leaf.outcome != "ok")
    {
        screen
            .detail("You denied something. The model is scripted: it told you the same as if you had not.")?;
    }
    let worth = leaves.iter().position(|leaf| leaf.kind == "exec.started");
    let victim = worth.and_then(|at| entries.into_iter().nth(at));
    let victim = victim.ok_or_else(|| Error::Usage("the log has no exec.started entry".to_owned()))?;
    Ok((screen, victim))
}

/// Where the demo's data lives.
struct Home {
    path: PathBuf,
    /// Removed when dropped.
    temporary: Option<tempfile::TempDir>,
}

impl Home {
    fn open(named: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = named else {
            let dir = tempfile::Builder::new().prefix("harombe-demo-").tempdir()?;
            return Ok(Self {
                path: dir.path().to_owned(),
                temporary: Some(dir),
            });
        };
        let home = Self {
            path: path.to_owned(),
            temporary: None,
        };
        let fault = |source| home.fault(source);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(fault)?;
        if std::fs::read_dir(path).map_err(fault)?.next().is_some() {
            let text = format!(
                "{} is not empty; the demo wants a directory that is absent or empty",
                path.display()
            );
            return Err(Error::Usage(text));
        }
        Ok(home)
    }

    fn fault(&self, source: std::io::Error) -> Error {
        let path = self.path.clone();
        Error::Start(StartError::DataDir { path, source })
    }

    /// What becomes of it.
    fn fate(&self) -> String {
        match self.temporary {
            Some(_) => "removed now; keep it with --data DIR".to_owned(),
            None => format!("kept in {}", self.path.display()),
        }
    }
}
