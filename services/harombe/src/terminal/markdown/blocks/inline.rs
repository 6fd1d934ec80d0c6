//! Words, and how they stand out.

use std::ops::Range;

use super::super::super::style::Style;
use super::super::super::text::printable;
use super::super::layout::Span;
use super::super::look::Look;
use super::Blocks;

impl Blocks<'_> {
    pub(super) fn push(&mut self, text: &str, look: Look, range: Range<usize>) {
        let text = printable(text).replace(['\n', '\t'], " ");
        self.push_lines(&text, look, range);
    }

    pub(super) fn push_lines(&mut self, text: &str, look: Look, range: Range<usize>) {
        let look = self.looks.iter().fold(look, |all, look| all.and(*look));
        self.spans.push(Span {
            text: printable(text).replace('\t', "    "),
            look,
            start: range.start,
            end: range.end,
        });
    }

    pub(super) fn around(&self, look: Look) -> &'static str {
        if self.style == Style::Plain {
            look.mark()
        } else {
            ""
        }
    }

    pub(super) fn stand_out(&mut self, look: Look, range: &Range<usize>) {
        self.push(self.around(look), Look::PLAIN, range.start..range.start);
        self.looks.push(look);
    }

    pub(super) fn stand_back(&mut self, look: Look, range: &Range<usize>) {
        self.looks.pop();
        self.push(self.around(look), Look::PLAIN, range.end..range.end);
    }

    pub(super) fn open_link(&mut self, leads_to: &str) {
        self.links.push((printable(leads_to), self.spans.len()));
        self.looks.push(Look::LINK);
    }

    /// Where a link leads is shown, whatever its words are.
    pub(super) fn close_link(&mut self, at: usize) {
        self.looks.pop();
        let Some((leads_to, from)) = self.links.pop() else {
            return;
        };
        let words: String = self
            .spans
            .iter()
            .skip(from)
            .map(|span| span.text.as_str())
            .collect();
        if words != leads_to && format!("mailto:{words}") != leads_to {
            self.push(&format!(" ({leads_to})"), Look::DIM, at..at);
        }
    }
}
