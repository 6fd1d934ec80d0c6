//! How an approval is answered: by a person at the terminal, by `--yes`, or by somebody elsewhere.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use rustix::termios::{QueueSelector, tcflush};
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
    /// `--yes` or not, and whether somebody sits at standard input and sees standard output.
    #[must_use]
    pub fn choose(yes: bool) -> Self {
        if yes {
            Self::Unattended
        } else if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            Self::Terminal
        } else {
            Self::Elsewhere
        }
    }
}

/// What the person typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `y` or `yes`, and nothing else.
    Yes,
    /// Any other line.
    No,
    /// The end of input: no line was ended.
    End,
}

/// Lines typed at the terminal, read by a thread of their own so that a run goes on being shown meanwhile. A line counts for
/// the question that stood there when it was ended: what was typed before a question was asked does not answer it.
#[derive(Debug)]
pub struct Prompt {
    /// The number of the question that stands, 0 when none does.
    question: Arc<AtomicU64>,
    asked: u64,
    /// Has the thread read.
    wake: SyncSender<()>,
    lines: mpsc::Receiver<(u64, Option<String>)>,
}

impl Prompt {
    #[must_use]
    pub fn start() -> Self {
        let (sender, lines) = mpsc::channel(1);
        let (wake, woken) = std::sync::mpsc::sync_channel(1);
        let question = Arc::new(AtomicU64::new(0));
        let standing = Arc::clone(&question);
        // The thread ends when the prompt is gone, after the line that it may be reading, or with the process.
        std::thread::spawn(move || {
            while let Ok(()) = woken.recv() {
                let line = std::io::stdin().lock().lines().next().and_then(Result::ok);
                let number = standing.load(Ordering::Acquire);
                if number > 0 && sender.blocking_send((number, line)).is_err() {
                    break;
                }
            }
        });
        Self {
            question,
            asked: 0,
            wake,
            lines,
        }
    }

    /// Lets go of what was typed so far: what comes now answers the question that is about to be asked.
    pub fn expect(&mut self) {
        // Nothing can be lost of an input that is no terminal.
        let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
        self.asked += 1;
        self.question.store(self.asked, Ordering::Release);
        // When it is full, the thread is about to read anyway.
        let _ = self.wake.try_send(());
    }

    /// The answer to the question that stands.
    pub async fn answer(&mut self) -> Answer {
        let line = loop {
            match self.lines.recv().await {
                Some((number, line)) if number == self.asked => break line,
                Some(_) => {}
                None => break None,
            }
        };
        self.dismiss();
        match line {
            None => Answer::End,
            Some(line) if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") => Answer::Yes,
            Some(_) => Answer::No,
        }
    }

    /// The question was answered elsewhere.
    pub fn dismiss(&mut self) {
        self.question.store(0, Ordering::Release);
    }
}
