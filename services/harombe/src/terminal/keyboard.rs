//! Answers typed at the terminal while a run goes on. Waiting for one can be called off at any moment, so that what is typed
//! afterwards is there for whoever reads next.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::pipe;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

/// The terminal on standard input; given back as it was.
#[derive(Debug)]
pub struct Keyboard {
    terminal: Arc<OwnedFd>,
    shown: Termios,
    hidden: Termios,
}

/// Longest answer, in bytes.
const LONGEST: usize = 16 * 1024;

impl Keyboard {
    /// Takes the terminal on standard input.
    ///
    /// # Errors
    /// It is none.
    pub fn open() -> io::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        Ok(Self {
            terminal: Arc::new(io::stdin().as_fd().try_clone_to_owned()?),
            shown,
            hidden,
        })
    }

    /// Does not show what is typed: it would stand in the middle of what the run writes.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn hide(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &self.hidden)?)
    }

    /// Lets go of what was typed so far: what comes now answers the question that is about to be asked, and is shown.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn expect(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, OptionalActions::Flush, &self.shown)?)
    }

    /// The next line; none at the end of input (Ctrl-D). When nobody waits for it any more, it is left to the next reader.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub async fn line(&self) -> io::Result<Option<String>> {
        let (called_off, waits) = pipe()?;
        let (say, said) = oneshot::channel();
        let terminal = Arc::clone(&self.terminal);
        std::thread::spawn(move || {
            // Nobody listens when it was called off.
            let _ = say.send(read_line(&terminal, &called_off));
        });
        let line = said.await;
        // Closed when this future is dropped too, which is what the thread looks for.
        drop(waits);
        line.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

fn read_line(terminal: &OwnedFd, called_off: &OwnedFd) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let mut polled = [
            PollFd::new(called_off, PollFlags::IN),
            PollFd::new(terminal, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        if polled.first().is_some_and(|fd| !fd.revents().is_empty()) {
            return Ok(None);
        }
        let mut bytes = [0; 4096];
        let read = rustix::io::read(terminal, &mut bytes)?;
        line.extend_from_slice(bytes.get(..read).unwrap_or_default());
        if read == 0 && line.is_empty() {
            return Ok(None);
        }
        if read == 0 || line.last() == Some(&b'\n') || line.len() > LONGEST {
            return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.shown);
    }
}
