//! Lines from standard input when nobody edits them: a pipe, a file, a terminal that can do no more.

use std::io::{self, BufRead, Read as _};
use std::sync::mpsc::SyncSender;

use tokio::sync::mpsc;

/// What came of waiting for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// There is no more.
    End,
}

/// Reads a line when one is asked for, by a thread of its own.
#[derive(Debug)]
pub struct Lines {
    wake: SyncSender<()>,
    lines: mpsc::Receiver<io::Result<Entered>>,
}

/// Longest text that is read, in bytes: more than any message may have.
const LONGEST: u64 = 1024 * 1024 + 1;

impl Lines {
    #[must_use]
    pub fn start() -> Self {
        let (sender, lines) = mpsc::channel(1);
        let (wake, woken) = std::sync::mpsc::sync_channel(1);
        // The thread ends when nobody asks any more, after the line that it may be reading, or with the process.
        std::thread::spawn(move || {
            while let Ok(()) = woken.recv() {
                if sender.blocking_send(read(&mut io::stdin().lock())).is_err() {
                    break;
                }
            }
        });
        Self { wake, lines }
    }

    /// The next line; one that ends in a backslash goes on with the next.
    ///
    /// # Errors
    /// When standard input cannot be read, or has no text.
    pub async fn next(&mut self) -> io::Result<Entered> {
        // When it is full, the thread is about to read anyway.
        let _ = self.wake.try_send(());
        self.lines.recv().await.unwrap_or(Ok(Entered::End))
    }
}

fn read(input: &mut impl BufRead) -> io::Result<Entered> {
    let mut bytes = Vec::new();
    loop {
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)?;
        if read == 0 && bytes.is_empty() {
            return Ok(Entered::End);
        }
        let is_ended = bytes.last() == Some(&b'\n');
        if is_ended {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if !(is_ended && bytes.last() == Some(&b'\\')) || bytes.len() as u64 >= LONGEST {
            break;
        }
        bytes.pop();
        bytes.push(b'\n');
    }
    String::from_utf8(bytes).map(Entered::Text).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the line is not UTF-8; say it in UTF-8 text",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: &[&str]) {
        let mut input = input;
        for text in expected {
            assert_eq!(read(&mut input).unwrap(), Entered::Text((*text).to_owned()));
        }
        assert_eq!(read(&mut input).unwrap(), Entered::End);
    }

    #[test]
    fn a_backslash_at_the_end_goes_on_with_the_next_line() {
        check(b"one\r\ntwo\\\nlines\nlast", &["one", "two\nlines", "last"]);
        check(b"open\\\n", &["open"]);
        check(b"", &[]);
    }

    #[test]
    fn what_is_no_text_is_refused_and_the_next_line_is_read() {
        let mut input: &[u8] = b"\xff\nnext\n";
        assert_eq!(read(&mut input).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&mut input).unwrap(), Entered::Text("next".to_owned()));
    }
}
