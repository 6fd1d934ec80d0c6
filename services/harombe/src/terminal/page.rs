//! Lines on a terminal: names in a margin, text to the right of it, and no line that the terminal would break by itself,
//! because what it breaks begins at the left edge and can look like a line of ours.

use std::io::{self, Write};

use super::live::Live;
use super::style::Style;

/// Where a screen writes.
#[derive(Debug)]
pub(super) struct Page<W> {
    out: W,
    style: Style,
    /// Columns of the margin.
    margin: usize,
    /// Columns there are.
    width: usize,
    /// Columns used on the last line; 0 when it is ended.
    column: usize,
    empty: bool,
}

/// Columns of a margin with names in it.
const MARGIN: usize = 13;
/// Columns of one without.
const NARROW: usize = 2;
/// A terminal that is narrower than this breaks lines as it likes.
const NARROWEST: usize = 40;
const TAB: usize = 8;

impl<W: Write> Page<Live<W>> {
    /// Bytes that were written so far.
    pub(super) fn written(&self) -> u64 {
        self.out.written()
    }
}

impl<W: Write> Page<W> {
    /// A page that many columns wide; without a number, lines are as long as they are.
    pub(super) fn new(out: W, style: Style, width: Option<usize>) -> Self {
        Self {
            out,
            style,
            margin: MARGIN,
            width: width.filter(|width| *width >= NARROWEST).unwrap_or(usize::MAX),
            column: 0,
            empty: true,
        }
    }

    /// A page whose margin is only as wide as it takes to tell its lines from a person's.
    pub(super) fn narrow(out: W, style: Style, width: Option<usize>) -> Self {
        Self {
            margin: NARROW,
            ..Self::new(out, style, width)
        }
    }

    /// The terminal has that many columns now.
    pub(super) fn set_width(&mut self, width: Option<usize>) {
        self.width = width.filter(|width| *width >= NARROWEST).unwrap_or(usize::MAX);
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// Columns to the right of the margin.
    pub(super) fn room(&self) -> usize {
        self.width - self.margin
    }

    /// Whether the last line is ended.
    pub(super) fn is_at_line_start(&self) -> bool {
        self.column == 0
    }

    pub(super) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the line, and leaves one empty if anything stands above.
    pub(super) fn paragraph(&mut self) -> io::Result<()> {
        self.end_line()?;
        if self.empty { Ok(()) } else { writeln!(self.out) }
    }

    /// Opens a line with a name in the margin.
    pub(super) fn open(&mut self, name: &str) -> io::Result<()> {
        self.end_line()?;
        self.empty = false;
        self.column = MARGIN;
        let (bullet, name) = (self.style.accent("▸"), format!("{name:<10}"));
        write!(self.out, "{bullet} {} ", self.style.bold(name))
    }

    /// A line that begins something, at the left edge.
    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        self.end_line()?;
        self.empty = false;
        self.column = self.margin;
        let bullet = self.style.accent("▸");
        write!(self.out, "{bullet} ")?;
        self.prose(text)?;
        self.end_line()
    }

    /// A line that was laid out for this page.
    pub(super) fn laid_out(&mut self, line: &str) -> io::Result<()> {
        self.end_line()?;
        self.empty = false;
        let margin = if line.is_empty() { 0 } else { self.margin };
        writeln!(self.out, "{:margin$}{line}", "")
    }

    /// A line under the last one.
    pub(super) fn detail(&mut self, text: &str) -> io::Result<()> {
        self.end_line()?;
        self.prose(text)?;
        self.end_line()
    }

    /// Goes on with words, on the same line as far as they fit.
    pub(super) fn prose(&mut self, text: &str) -> io::Result<()> {
        let mut line = String::new();
        if self.column == 0 {
            self.indent(&mut line);
        }
        for piece in text.split_inclusive([' ', '\n']) {
            let word = piece.trim_end_matches([' ', '\n']);
            let needed = columns(word);
            if self.column + needed > self.width && self.margin + needed <= self.width {
                line.truncate(line.trim_end_matches(' ').len());
                line.push('\n');
                self.indent(&mut line);
            }
            for (text, needed) in glyphs(word) {
                if self.column + needed > self.width {
                    line.push('\n');
                    self.indent(&mut line);
                }
                line.push_str(text);
                self.column += needed;
            }
            for blank in piece.chars().skip(word.chars().count()) {
                line.push(blank);
                self.column += 1;
                if blank == '\n' {
                    self.indent(&mut line);
                }
            }
        }
        self.empty = false;
        self.out.write_all(line.as_bytes())
    }

    /// Goes on with text exactly as it is, behind a rule; where a line of it goes on below, the rule is dashed.
    pub(super) fn exact(&mut self, rule: &str, text: &str) -> io::Result<()> {
        let (rule, dashed) = (self.style.dim(rule).to_string(), self.style.dim("┆").to_string());
        let mut lines = String::new();
        for (glyph, needed) in glyphs(text) {
            if self.column == 0 {
                self.indent(&mut lines);
                lines.push_str(&rule);
                self.column += 1;
                if glyph != "\n" {
                    lines.push(' ');
                    self.column += 1;
                }
            }
            if glyph == "\n" {
                lines.push('\n');
                self.column = 0;
                continue;
            }
            let needed = if glyph == "\t" {
                TAB - self.column % TAB
            } else {
                needed
            };
            if self.column + needed > self.width {
                lines.push('\n');
                self.indent(&mut lines);
                lines.push_str(&dashed);
                lines.push(' ');
                self.column += 2;
            }
            lines.push_str(glyph);
            self.column += needed;
        }
        self.empty = false;
        self.out.write_all(lines.as_bytes())?;
        self.out.flush()
    }

    /// Lines between a title and an end.
    pub(super) fn block(&mut self, title: &str, text: &str) -> io::Result<()> {
        let top = self.style.dim(format_args!("┌─ {title}")).to_string();
        self.detail(&top)?;
        self.exact("│", text)?;
        self.end_line()?;
        let bottom = self.style.dim("└─").to_string();
        self.detail(&bottom)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.column) > 0 {
            writeln!(self.out)?;
        }
        Ok(())
    }

    /// Somebody else ended the line: the person at the terminal.
    pub(super) fn line_was_ended(&mut self) {
        self.column = 0;
    }

    fn indent(&mut self, line: &mut String) {
        line.extend(std::iter::repeat_n(' ', self.margin));
        self.column = self.margin;
    }
}

/// Characters with the columns each may need: at most two for any but ASCII; none for a colour (ECMA-48, SGR).
fn glyphs(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (len, needed) = match first {
            '\u{1b}' => (rest.find('m').map_or(rest.len(), |at| at + 1), 0),
            _ if first.is_ascii() => (1, 1),
            _ => (first.len_utf8(), 2),
        };
        let (glyph, after) = rest.split_at_checked(len)?;
        rest = after;
        Some((glyph, needed))
    })
}

fn columns(text: &str) -> usize {
    glyphs(text).map(|(_, needed)| needed).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize, write: impl FnOnce(&mut Page<&mut Vec<u8>>)) -> Vec<String> {
        let mut out = Vec::new();
        write(&mut Page::new(&mut out, Style::Plain, Some(width)));
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn words_go_on_below_the_first_and_right_of_the_margin() {
        let lines = page(40, |page| {
            page.open("model").unwrap();
            for delta in ["one two ", "three four five", " six\nseven"] {
                page.prose(delta).unwrap();
            }
        });
        assert_eq!(
            lines,
            ["▸ model      one two three four five six", "             seven",]
        );
        let lines = page(40, |page| {
            page.detail("one two three four five six seven").unwrap();
        });
        assert_eq!(
            lines,
            ["             one two three four five six", "             seven"]
        );
    }

    #[test]
    fn a_word_longer_than_the_line_is_broken() {
        let lines = page(40, |page| page.detail(&"x".repeat(30)).unwrap());
        assert_eq!(
            lines,
            [format!("{:13}{}", "", "x".repeat(27)), format!("{:13}xxx", "")]
        );
    }

    #[test]
    fn a_line_of_code_never_reaches_the_left_edge() {
        let code = format!("print(1){}▸ approved by ann", " ".repeat(40));
        let lines = page(40, |page| page.block("python", &code).unwrap());
        let inner = lines.get(1..lines.len() - 1).unwrap();
        assert!(inner[0].starts_with("             │ print(1)"), "{lines:?}");
        assert!(inner.len() > 1, "{lines:?}");
        assert!(
            inner[1..].iter().all(|line| line.starts_with("             ┆ ")),
            "{lines:?}"
        );
        let shown: String = inner
            .iter()
            .map(|line| line.chars().skip(15).collect::<String>())
            .collect();
        assert_eq!(shown, code, "every character is there");
    }

    #[test]
    fn a_tab_counts_for_what_it_takes() {
        let lines = page(40, |page| page.exact("│", &"\t".repeat(6)).unwrap());
        assert!(
            lines.len() > 1 && lines[1].starts_with("             ┆ "),
            "{lines:?}"
        );
    }

    #[test]
    fn colours_take_no_room() {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out, Style::Coloured, Some(40));
        let words =
            ["one", "two", "three", "four", "five", "six"].map(|word| Style::Coloured.bad(word).to_string());
        page.detail(&words.join(" ")).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
    }

    #[test]
    fn without_a_width_nothing_is_broken() {
        let mut out = Vec::new();
        Page::new(&mut out, Style::Plain, None)
            .detail(&"word ".repeat(100))
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1);
    }
}
