//! `harombe chat`: a conversation at the terminal, or over a pipe.

mod approve;
mod command;
mod console;
mod course;
mod memories;
mod nearest;
mod pending;
mod sessions;
mod talk;
mod tools;

use std::io::Stdout;
use std::path::PathBuf;
use std::process::ExitCode;

use futures_util::FutureExt as _;
use harombe_proto::agent::v1::{Agent, ListAgentsRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::command::{Command, Input};
use self::console::Console;
use super::Error;
use crate::attach::{Client, Place};
use crate::compose::ModelSource;
use crate::terminal::{Completions, Entered, View, model_name};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on with this session; the beginning of its id is enough
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The agent of new sessions
    #[arg(long, value_name = "NAME", conflicts_with = "session")]
    agent: Option<String>,
    /// The model behind the default agent, when no server is running: scripted:FILE
    #[arg(long, value_name = "MODEL")]
    model: Option<ModelSource>,
    /// Keep nothing of what is typed for the next time
    #[arg(long)]
    no_history: bool,
}

const DEFAULT_AGENT: &str = "default";

pub(super) async fn run(place: Place, args: Args) -> Result<ExitCode, Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let attached = place.attach(args.model.clone()).await?;
    let result = tokio::select! {
        result = converse(attached.client.clone(), &place, args) => result,
        // A run stays in its journal: the next server on the directory goes on with it.
        _ = terminate.recv() => Err(Error::Terminated),
    };
    attached.close().await;
    result
}

async fn converse(client: Client, place: &Place, args: Args) -> Result<ExitCode, Error> {
    let completions = Completions::default();
    let view = View::of_stdout();
    let typed_before = place.data()?.join("chat_history");
    let history = (!args.no_history).then_some(typed_before.as_path());
    let console = Console::open(view.surface(), history, completions.clone())?;
    let mut chat = Chat {
        client,
        place: place.clone(),
        view,
        console,
        completions,
        typed_before,
        interrupt: signal(SignalKind::interrupt())?,
        agents: Vec::new(),
        agent: args.agent.unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
        session: None,
        sessions: Vec::new(),
        memories: Vec::new(),
        failed: false,
    };
    chat.begin(args.session).await?;
    chat.go_on().await
}

/// A person, a server, and what was said between them.
struct Chat {
    client: Client,
    place: Place,
    view: View<Stdout>,
    console: Console,
    completions: Completions,
    /// The file with what was typed.
    typed_before: PathBuf,
    interrupt: Signal,
    agents: Vec<Agent>,
    /// Of new sessions.
    agent: String,
    /// None until the first message.
    session: Option<String>,
    /// Ids that were seen, to be completed and to be meant by their beginnings.
    sessions: Vec<String>,
    memories: Vec<String>,
    /// Whether the last thing that was asked for came to nothing.
    failed: bool,
}

/// Whether there is more to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    More,
    Quit,
}

impl Chat {
    async fn begin(&mut self, session: Option<String>) -> Result<(), Error> {
        let listed = self.client.agent.list_agents(ListAgentsRequest {}).await?;
        self.agents = listed.into_inner().agents;
        if self.agent_named(&self.agent.clone()).is_none() {
            return Err(Error::Usage(self.no_such_agent(&self.agent)));
        }
        if self.view.surface().is_terminal {
            let text = format!("harombe chat · {}", self.agent_line(&self.agent.clone()));
            self.view.title(&text)?;
            self.view.aside("/help tells what can be typed · Ctrl-D leaves")?;
            // What can be completed is worth a question, but no complaint.
            let _ = self.recent_sessions().await;
        }
        self.offer_completions();
        match session {
            Some(session) => self.load(&session).await,
            None => Ok(()),
        }
    }

    async fn go_on(mut self) -> Result<ExitCode, Error> {
        loop {
            self.view.apart()?;
            let entered = match self.console.line(&mut self.interrupt).await {
                Ok(entered) => entered,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    self.refuse(&error.to_string())?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let text = match entered {
                Entered::Text(text) => text,
                Entered::End => break,
                Entered::Interrupted if self.console.is_edited() => {
                    self.view.aside("Ctrl-D or /quit leaves")?;
                    continue;
                }
                Entered::Interrupted => return Err(Error::Interrupted),
            };
            self.view.measure();
            // One that came while a line was typed was not meant for what comes now.
            while self.interrupt.recv().now_or_never().flatten().is_some() {}
            match self.take(&text).await {
                Ok(Next::More) => {}
                Ok(Next::Quit) => break,
                Err(error @ (Error::Interrupted | Error::Terminated | Error::Terminal(_))) => {
                    return Err(error);
                }
                Err(error) => self.refuse(&error.report())?,
            }
        }
        let failed = self.failed && !self.view.surface().is_terminal;
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// Does what a line says.
    async fn take(&mut self, text: &str) -> Result<Next, Error> {
        let command = match Input::read(text) {
            Input::Nothing => return Ok(Next::More),
            Input::Say(text) => {
                self.say(&text).await?;
                return Ok(Next::More);
            }
            Input::Wrong(told) => {
                self.refuse(&told)?;
                return Ok(Next::More);
            }
            Input::Command(command) => command,
        };
        self.failed = false;
        match command {
            Command::Help => self.help()?,
            Command::Sessions => self.list_sessions().await?,
            Command::Load(session) => self.load(&session).await?,
            Command::History(turns) => self.history(turns).await?,
            Command::Forget(None) => self.forget_session().await?,
            Command::Forget(Some(memory)) => self.forget_memory(&memory).await?,
            Command::Model(agent) => self.model(agent)?,
            Command::Tools => self.tools().await?,
            Command::Memory(query) => self.memory(query).await?,
            Command::New => self.begin_anew()?,
            Command::Quit => return Ok(Next::Quit),
        }
        self.offer_completions();
        Ok(Next::More)
    }

    /// Something that was asked for cannot be done.
    fn refuse(&mut self, told: &str) -> Result<(), Error> {
        self.failed = true;
        Ok(self.view.error(told)?)
    }

    fn begin_anew(&mut self) -> Result<(), Error> {
        self.session = None;
        let line = format!(
            "the next message begins a session · {}",
            self.agent_line(&self.agent.clone())
        );
        Ok(self.view.note(&line)?)
    }

    fn agent_named(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    fn agent_line(&self, name: &str) -> String {
        match self.agent_named(name) {
            Some(agent) => format!("agent {name} · model {}", model_name(&agent.model)),
            None => format!("agent {name}"),
        }
    }

    fn no_such_agent(&self, name: &str) -> String {
        let names: Vec<_> = self.agents.iter().map(|agent| agent.name.as_str()).collect();
        format!("there is no agent {name:?}; the server has {}", names.join(", "))
    }

    fn offer_completions(&self) {
        let commands = command::NAMES.iter().map(|(name, _, _)| (*name).to_owned());
        let sessions = self.sessions.iter().map(|id| format!("/load {id}"));
        let memories = self.memories.iter().map(|id| format!("/forget {id}"));
        let agents = self.agents.iter().map(|agent| format!("/model {}", agent.name));
        let lines = commands.chain(sessions).chain(memories).chain(agents);
        self.completions.set(lines.collect());
    }
}
