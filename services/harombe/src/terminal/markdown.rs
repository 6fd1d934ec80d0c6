//! Markdown as it streams in: finished lines, laid out for a width, that are never taken back. What a model writes is not
//! trusted: of all that it can say, only our own colours reach the terminal as anything but text.

mod blocks;
mod layout;
mod look;
mod settled;
mod table;

use super::style::Style;

/// A text as far as it has come.
#[derive(Debug)]
pub(super) struct Markdown {
    style: Style,
    width: usize,
    /// From the beginning of the last block.
    text: String,
    /// Lines of it that were handed out.
    handed: usize,
    /// Whether a line stands apart above it.
    gap: bool,
    /// Bytes of it when it was looked at last.
    looked: usize,
    /// What has come of the next line.
    preview: Option<String>,
}

/// Lines are never laid out for less.
const NARROWEST: usize = 20;
/// A long block is looked at anew when a sixteenth of it has come since.
const SHARE: usize = 16;
/// A block that is shorter is looked at anew with each piece.
const SHORT: usize = 4 * 1024;

impl Markdown {
    pub(super) fn new(style: Style, width: usize) -> Self {
        Self {
            style,
            width: width.max(NARROWEST),
            text: String::new(),
            handed: 0,
            gap: false,
            looked: 0,
            preview: None,
        }
    }

    /// The text goes on; answers the lines that are finished.
    pub(super) fn push(&mut self, piece: &str) -> Vec<String> {
        self.text.extend(piece.chars().filter(|c| *c != '\r'));
        let grown = (self.text.len() - self.looked).saturating_mul(SHARE) >= self.text.len();
        if grown || self.text.len() < SHORT {
            self.advance(false)
        } else {
            Vec::new()
        }
    }

    /// The text has ended; answers what is left of it.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.advance(true)
    }

    /// What has come of the next line, as it would look if nothing followed.
    pub(super) fn preview(&self) -> Option<&str> {
        self.preview.as_deref()
    }

    fn advance(&mut self, ended: bool) -> Vec<String> {
        let known = if ended {
            &self.text
        } else {
            settled::telling(&self.text)
        };
        let drawn = blocks::draw(known, self.style, self.width, self.gap);
        let settled = if ended { usize::MAX } else { drawn.settled };
        let count = drawn
            .lines
            .iter()
            .take_while(|line| line.settled <= settled)
            .count();
        let finished = drawn.lines.iter().take(count).skip(self.handed);
        let finished = finished.map(|line| line.text.clone()).collect();
        self.handed = self.handed.max(count);
        let preview = drawn.growing.filter(|at| *at >= self.handed);
        self.preview = preview
            .and_then(|at| drawn.lines.get(at))
            .map(|line| line.text.clone());
        // What lies before the last block needs no other look.
        if drawn.last_block > 0 && self.handed >= drawn.last_line {
            self.handed -= drawn.last_line;
            self.text.drain(..drawn.last_block);
            self.gap = drawn.gap;
        }
        self.looked = self.text.len();
        finished
    }
}

#[cfg(test)]
mod tests;
