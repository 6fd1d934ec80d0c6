//! Code in a frame, each line of it as it is.

use std::mem::take;
use std::ops::Range;

use pulldown_cmark::CodeBlockKind;

use super::super::super::text::printable;
use super::super::super::width::{fitting, glyphs};
use super::super::look::Look;
use super::super::settled::Leaf;
use super::Blocks;

const TAB: usize = 4;

impl Blocks<'_> {
    pub(super) fn open_code(&mut self, kind: &CodeBlockKind<'_>, at: usize) {
        self.flush();
        self.gap &= self.lists.is_empty();
        self.open(Leaf::Code(at));
        let language = match kind {
            CodeBlockKind::Fenced(info) => printable(info.split([' ', ',']).next().unwrap_or_default()),
            CodeBlockKind::Indented => String::new(),
        };
        let most = self.room().saturating_sub(3);
        let title = format!("┌─ {}", fitting(&language, most));
        self.line(&[(title.trim_end(), Look::DIM)], at + 1);
        self.code = Some(String::new());
    }

    pub(super) fn code_line(&mut self, text: &str, settled: usize) {
        let room = self.room().saturating_sub(2);
        let (mut part, mut used, mut rule) = (String::new(), 0, "│ ");
        for (glyph, columns) in glyphs(text) {
            let blanks;
            let (glyph, columns) = if glyph.starts_with('\t') {
                let needed = TAB - used % TAB;
                blanks = " ".repeat(needed);
                (blanks.as_str(), needed)
            } else {
                (glyph, columns)
            };
            if used + columns > room && used > 0 {
                self.line(&[(rule, Look::DIM), (&take(&mut part), Look::PLAIN)], settled);
                (used, rule) = (0, "┆ ");
            }
            part.push_str(glyph);
            used += columns;
        }
        let rule = if part.is_empty() { rule.trim_end() } else { rule };
        self.line(&[(rule, Look::DIM), (&part, Look::PLAIN)], settled);
    }

    pub(super) fn close_code(&mut self, range: &Range<usize>) {
        if let Some(rest) = self.code.take().filter(|rest| !rest.is_empty()) {
            self.code_line(&rest, range.end);
        }
        self.line(&[("└─", Look::DIM)], range.end);
        self.gap = self.lists.is_empty();
    }
}
