//! Where lines come from: an editor on a terminal, plain lines where there is none.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use tokio::signal::unix::Signal;

use crate::terminal::{Completions, Editor, Entered, History, Keyboard, Lines, Surface};

pub(super) enum Console {
    Terminal {
        input: Input,
        keyboard: Keyboard,
    },
    /// Nobody answers here.
    Pipe(Lines),
}

pub(super) enum Input {
    Edited(Editor),
    /// A terminal that knows no way to move the cursor.
    Plain(Lines),
}

const PROMPT: &str = "› ";

impl Console {
    pub(super) fn open(
        surface: Surface,
        history: Option<&Path>,
        completions: Completions,
    ) -> io::Result<Self> {
        if !surface.is_terminal || !io::stdin().is_terminal() {
            return Ok(Self::Pipe(Lines::start()));
        }
        let keyboard = Keyboard::open()?;
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let input = if is_dumb {
            Input::Plain(Lines::start())
        } else {
            Input::Edited(Editor::start(
                history.map(History::at),
                surface.style,
                completions,
            ))
        };
        Ok(Self::Terminal { input, keyboard })
    }

    /// The next line.
    pub(super) async fn line(&mut self, interrupt: &mut Signal) -> io::Result<Entered> {
        let lines = match self {
            // Ctrl-C is a key there.
            Self::Terminal {
                input: Input::Edited(editor),
                ..
            } => return editor.line(PROMPT).await,
            Self::Terminal {
                input: Input::Plain(lines),
                keyboard,
            } => {
                keyboard.expect()?;
                lines
            }
            Self::Pipe(lines) => lines,
        };
        tokio::select! {
            entered = lines.next() => entered,
            _ = interrupt.recv() => Ok(Entered::Interrupted),
        }
    }

    /// Whether Ctrl-C is a key like others.
    pub(super) fn is_edited(&self) -> bool {
        matches!(
            self,
            Self::Terminal {
                input: Input::Edited(_),
                ..
            }
        )
    }

    /// A run begins: what is typed while it goes on is not shown.
    pub(super) fn hide(&self) -> io::Result<()> {
        match self {
            Self::Terminal { keyboard, .. } => keyboard.hide(),
            Self::Pipe(_) => Ok(()),
        }
    }

    /// Who can answer questions here.
    pub(super) fn keyboard(&mut self) -> Option<&mut Keyboard> {
        match self {
            Self::Terminal { keyboard, .. } => Some(keyboard),
            Self::Pipe(_) => None,
        }
    }
}
