//! How an approval is answered: by a person at the terminal, by `--yes`, or by somebody elsewhere.

use std::io::{BufRead as _, IsTerminal as _};

use tokio::sync::mpsc;

/// Who answers the approvals of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The person at this terminal.
    Terminal,
    /// `--yes`: approved without anyone looking, and recorded so.
    Unattended,
    /// Nobody here; another terminal decides.
    Elsewhere,
}

impl Answers {
    /// `--yes` or not, and whether somebody sits at standard input.
    #[must_use]
    pub fn choose(yes: bool) -> Self {
        if yes {
            Self::Unattended
        } else if std::io::stdin().is_terminal() {
            Self::Terminal
        } else {
            Self::Elsewhere
        }
    }
}

/// Lines typed at the terminal, read by a thread of their own so that a run goes on being shown meanwhile.
#[derive(Debug)]
pub struct Prompt(mpsc::Receiver<String>);

impl Prompt {
    #[must_use]
    pub fn start() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        // The thread ends with its first line after the receiver is gone, or with the process.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    /// Whether the next line says yes; the end of input says no. Only `y` and `yes` are a yes.
    pub async fn yes(&mut self) -> bool {
        let line = self.0.recv().await.unwrap_or_default();
        matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }
}
