//! Words into lines of a width.

use super::super::style::Style;
use super::super::width::glyphs;
use super::look::Look;

/// Words that look alike.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) look: Look,
    /// Where in the source it begins and ends.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A line as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Columns that it takes.
    pub(super) columns: usize,
    /// It stays as it is when the source does up to here; `usize::MAX` when more words may come to stand on it.
    pub(super) settled: usize,
}

impl Line {
    pub(super) fn empty(settled: usize) -> Self {
        Self {
            text: String::new(),
            columns: 0,
            settled,
        }
    }
}

struct Cell<'a> {
    glyph: &'a str,
    columns: usize,
    look: Look,
    end: usize,
}

impl Cell<'_> {
    fn is_blank(&self) -> bool {
        self.glyph == " "
    }
}

/// Lines of at most that many columns, broken between words where it can be; a line feed ends a line.
pub(super) fn wrap(spans: &[Span], width: usize, style: Style) -> Vec<Line> {
    let cells: Vec<_> = spans.iter().flat_map(cells).collect();
    let mut lines = Vec::new();
    // Where the line begins, what it takes, and where it can be broken.
    let (mut start, mut used, mut gap) = (0, 0, None);
    for (at, cell) in cells.iter().enumerate() {
        if cell.glyph == "\n" {
            lines.push(line(&cells, start..at, cell.end, style));
            (start, used, gap) = (at + 1, 0, None);
            continue;
        }
        if cell.is_blank() {
            if at == start {
                start = at + 1;
            } else {
                used += 1;
                gap = Some((at, at + 1));
            }
            continue;
        }
        if used + cell.columns > width && at > start {
            let (end, next) = gap.unwrap_or((at, at));
            lines.push(line(&cells, start..end, word_end(&cells, next), style));
            start = next;
            used = cells
                .get(start..at)
                .unwrap_or_default()
                .iter()
                .map(|cell| cell.columns)
                .sum();
            gap = None;
        }
        used += cell.columns;
        // Between characters that are two columns wide there are no blanks.
        if cell.columns > 1 {
            gap = Some((at + 1, at + 1));
        }
    }
    if start < cells.len() {
        let end = cells.last().map_or(0, |cell| cell.end);
        lines.push(line(&cells, start..cells.len(), end, style));
    }
    lines
}

fn cells(span: &Span) -> impl Iterator<Item = Cell<'_>> {
    // Where the source has the very same text, each place of it is known; else only its end is.
    let same = span.end.saturating_sub(span.start) == span.text.len();
    let mut at = span.start;
    glyphs(&span.text).map(move |(glyph, columns)| {
        at += glyph.len();
        Cell {
            glyph,
            columns,
            look: span.look,
            end: if same { at } else { span.end },
        }
    })
}

fn word_end(cells: &[Cell<'_>], from: usize) -> usize {
    let word = cells.get(from..).unwrap_or_default().iter();
    let word = word.take_while(|cell| !cell.is_blank() && cell.glyph != "\n");
    word.last().map_or(0, |cell| cell.end)
}

fn line(cells: &[Cell<'_>], range: std::ops::Range<usize>, settled: usize, style: Style) -> Line {
    let mut cells = cells.get(range).unwrap_or_default();
    while let [rest @ .., last] = cells
        && last.is_blank()
    {
        cells = rest;
    }
    let mut text = String::new();
    for alike in cells.chunk_by(|a, b| a.look == b.look) {
        let words: String = alike.iter().map(|cell| cell.glyph).collect();
        let look = alike.first().map_or(Look::PLAIN, |cell| cell.look);
        look.paint(style, &words, &mut text);
    }
    Line {
        text,
        columns: cells.iter().map(|cell| cell.columns).sum(),
        settled,
    }
}
