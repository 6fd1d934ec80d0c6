//! A line that is typed and not shown.

use std::io::{self, BufRead as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// What came of a question.
#[derive(Debug)]
pub enum Typed {
    Line(Zeroizing<String>),
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM, or the terminal is gone.
    Terminated,
}

/// Asks on standard error, reads a line from the terminal on standard input without showing it. However it ends, the
/// terminal shows again what is typed.
///
/// # Errors
/// Standard input is no terminal, or cannot be read.
pub async fn read_hidden(question: &str) -> io::Result<Typed> {
    // Before anything is hidden: a signal that nobody handles would leave it so.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let shown = tcgetattr(io::stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    write!(io::stderr(), "{question}")?;
    let restore = Restore(shown);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    let (said, line) = oneshot::channel();
    // A read of a terminal cannot be called off; the process ends without it.
    std::thread::spawn(move || {
        let mut line = Zeroizing::new(String::new());
        let read = io::stdin().lock().read_line(&mut line);
        // Nobody waits after a signal.
        let _ = said.send(read.map(|_| line));
    });
    let typed = tokio::select! {
        line = line => match line {
            Ok(line) => line.map(Typed::Line),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        },
        _ = interrupt.recv() => Ok(Typed::Interrupted),
        _ = terminate.recv() => Ok(Typed::Terminated),
        _ = hangup.recv() => Ok(Typed::Terminated),
    };
    drop(restore);
    writeln!(io::stderr())?;
    typed
}

/// Gives the terminal back as it was.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
