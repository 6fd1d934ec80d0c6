//! A line that is typed and not shown.

use std::io::{self, BufRead as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Asks on standard error, reads a line from the terminal on standard input without showing it.
///
/// # Errors
/// Standard input is no terminal, or cannot be read.
pub fn read_hidden(question: &str) -> io::Result<Zeroizing<String>> {
    let shown = tcgetattr(io::stdin())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    write!(io::stderr(), "{question}")?;
    let restore = Restore(shown);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    let mut line = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut line);
    drop(restore);
    writeln!(io::stderr())?;
    read.map(|_| line)
}

/// Gives the terminal back as it was.
struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
