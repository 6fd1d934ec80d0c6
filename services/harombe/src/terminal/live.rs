//! A last line that tells what is going on, and is gone when anything else is written.

use std::io::{self, Write};

/// A terminal with such a line.
#[derive(Debug)]
pub(super) struct Live<W> {
    out: W,
    /// Whether lines can be taken back here; else none of this kind is written.
    erases: bool,
    is_drawn: bool,
    /// Bytes of everything that stays.
    written: u64,
}

/// To the left edge, and nothing from there on (ECMA-48: CR, EL).
const ERASE: &str = "\r\u{1b}[K";

impl<W: Write> Live<W> {
    pub(super) fn new(out: W, erases: bool) -> Self {
        Self {
            out,
            erases,
            is_drawn: false,
            written: 0,
        }
    }

    /// Draws the line in place of the last one. It must be shorter than the terminal is wide.
    pub(super) fn draw(&mut self, line: &str) -> io::Result<()> {
        if !self.erases {
            return Ok(());
        }
        self.is_drawn = true;
        write!(self.out, "{ERASE}{line}")?;
        self.out.flush()
    }

    /// Bytes that were written so far, without what was drawn.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn erase(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_drawn) {
            write!(self.out, "{ERASE}")?;
        }
        Ok(())
    }
}

impl<W: Write> Write for Live<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.erase()?;
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_gone_when_something_is_written() {
        let mut live = Live::new(Vec::new(), true);
        live.draw("one").unwrap();
        live.draw("two").unwrap();
        live.write_all(b"x\n").unwrap();
        live.write_all(b"y\n").unwrap();
        live.erase().unwrap();
        assert_eq!(live.written(), 4);
        let expected = "\r\u{1b}[Kone\r\u{1b}[Ktwo\r\u{1b}[Kx\ny\n";
        assert_eq!(String::from_utf8(live.out).unwrap(), expected);
    }

    #[test]
    fn where_nothing_can_be_taken_back_nothing_is_drawn() {
        let mut live = Live::new(Vec::new(), false);
        live.draw("one").unwrap();
        live.write_all(b"x\n").unwrap();
        assert_eq!(live.out, b"x\n");
    }
}
