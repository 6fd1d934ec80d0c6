//! Rows below each other, as wide as the terminal is and no wider.

use super::style::Style;
use super::text::printable;
use super::width::{columns, cut};

const BETWEEN: usize = 2;

/// A line of names and a line for each row. The last column has what the others leave, and is cut to it; what would drive the
/// terminal is shown as something else.
pub(crate) fn rows<const N: usize>(
    names: [&str; N],
    rows: &[[String; N]],
    room: usize,
    style: Style,
) -> Vec<String> {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|at| one_line(row.get(at).map_or("", String::as_str))))
        .collect();
    let widths: [usize; N] = std::array::from_fn(|at| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(at))
            .map(|cell| columns(cell));
        cells
            .chain(names.get(at).map(|name| name.len()))
            .max()
            .unwrap_or_default()
    });
    let head = line(names, &widths, room);
    let mut lines = vec![style.dim(head).to_string()];
    lines.extend(
        rows.iter()
            .map(|row| line(row.each_ref().map(String::as_str), &widths, room)),
    );
    lines
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    printable(&words.join(" "))
}

fn line<const N: usize>(cells: [&str; N], widths: &[usize; N], room: usize) -> String {
    let mut text = String::new();
    let mut left = room;
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, left);
        let is_last = at + 1 == N;
        let used = columns(&cell);
        text.push_str(&cell);
        if !is_last {
            let pad = (width + BETWEEN).min(left).saturating_sub(used);
            text.push_str(&" ".repeat(pad));
            left = left.saturating_sub(used + pad);
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_has_what_is_left() {
        let all = [
            ["1".to_owned(), "long enough to be cut\nand more".to_owned()],
            ["a-longer-id".to_owned(), "x\u{1b}".to_owned()],
        ];
        let lines = rows(["id", "text"], &all, 30, Style::Plain);
        let expected = [
            "id           text",
            "1            long enough to b…",
            "a-longer-id  x\u{fffd}",
        ];
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| columns(line) <= 30));
    }
}
