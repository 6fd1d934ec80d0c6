//! Tables that fit: as they are, with cells of several lines, or a row below the other.

use pulldown_cmark::Alignment;

use super::super::style::Style;
use super::layout::{Line, Span, wrap};
use super::look::Look;

type Cell = Vec<Span>;

/// The first row has the names of the columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Cell>>,
    row: Vec<Cell>,
}

const BETWEEN: &str = " │ ";
const BETWEEN_COLUMNS: usize = 3;
/// A column of fewer is no help to a reader.
const NARROWEST: usize = 8;

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self {
            alignments,
            ..Self::default()
        }
    }

    pub(super) fn cell(&mut self, cell: Cell) {
        self.row.push(cell);
    }

    pub(super) fn end_row(&mut self) {
        let mut row = std::mem::take(&mut self.row);
        if self.rows.is_empty() {
            for span in row.iter_mut().flatten() {
                span.look = span.look.and(Look::STRONG);
            }
        }
        self.rows.push(row);
    }

    pub(super) fn lines(&self, room: usize, style: Style) -> Vec<Line> {
        match self.widths(room) {
            Some(widths) => self.grid(&widths, style),
            None => self.records(room, style),
        }
    }

    /// Columns of each column; none when they cannot all be had.
    fn widths(&self, room: usize) -> Option<Vec<usize>> {
        let count = self.alignments.len();
        let room = room.checked_sub(BETWEEN_COLUMNS * count.saturating_sub(1))?;
        let mut widths = vec![1; count];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                let lines = wrap(cell, usize::MAX, Style::Plain);
                *width = lines.iter().map(|line| line.columns).fold(*width, usize::max);
                *width = (*width).min(room.max(1));
            }
        }
        let mut over = widths.iter().sum::<usize>().saturating_sub(room);
        while over > 0 {
            let widest = widths.iter_mut().max().filter(|width| **width > NARROWEST)?;
            *widest -= 1;
            over -= 1;
        }
        Some(widths)
    }

    fn grid(&self, widths: &[usize], style: Style) -> Vec<Line> {
        let mut lines = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let cells: Vec<_> = widths
                .iter()
                .enumerate()
                .map(|(at, width)| wrap(row.get(at).map_or(&[], Vec::as_slice), *width, style))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or_default().max(1);
            for at in 0..height {
                lines.push(self.grid_line(widths, &cells, at, style));
            }
            if number == 0 {
                let rules: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
                lines.push(whole(&rules.join("─┼─"), Look::DIM, style));
            }
        }
        lines
    }

    fn grid_line(&self, widths: &[usize], cells: &[Vec<Line>], at: usize, style: Style) -> Line {
        let mut line = Line::empty(0);
        for (column, (width, cell)) in widths.iter().zip(cells).enumerate() {
            if column > 0 {
                Look::DIM.paint(style, BETWEEN, &mut line.text);
                line.columns += BETWEEN_COLUMNS;
            }
            let part = cell.get(at);
            let free = width.saturating_sub(part.map_or(0, |part| part.columns));
            let left = match self.alignments.get(column) {
                Some(Alignment::Right) => free,
                Some(Alignment::Center) => free / 2,
                _ => 0,
            };
            line.text.push_str(&" ".repeat(left));
            line.text.push_str(part.map_or("", |part| &part.text));
            // Nothing stands to the right of the last column.
            if column + 1 < widths.len() {
                line.text.push_str(&" ".repeat(free - left));
                line.columns += width;
            } else {
                line.columns += width - (free - left);
            }
        }
        line
    }

    /// Every row as lines of its own, for tables that are too wide.
    fn records(&self, room: usize, style: Style) -> Vec<Line> {
        let mut lines = Vec::new();
        let Some((names, rows)) = self.rows.split_first() else {
            return lines;
        };
        for (number, row) in rows.iter().enumerate() {
            if number > 0 {
                lines.push(whole(&"─".repeat(room.min(8)), Look::DIM, style));
            }
            for (name, cell) in names.iter().zip(row) {
                let mut spans = name.clone();
                let colon = Span {
                    text: ": ".to_owned(),
                    look: Look::DIM,
                    start: 0,
                    end: 0,
                };
                spans.push(colon);
                spans.extend(cell.iter().cloned());
                lines.extend(wrap(&spans, room, style));
            }
        }
        lines
    }
}

fn whole(text: &str, look: Look, style: Style) -> Line {
    let mut line = Line::empty(0);
    look.paint(style, text, &mut line.text);
    line.columns = text.chars().count();
    line
}
