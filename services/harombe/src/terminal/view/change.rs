//! A file's new content as what changes in it.

use similar::{ChangeTag, TextDiff};

use super::super::style::Style;
use super::super::text::printable;

/// Lines that stay, around those that change.
const AROUND: usize = 3;

/// The lines that change, in a form that shows which; none when nothing does.
pub(super) fn change(before: &str, after: &str, style: Style) -> Option<String> {
    if before == after {
        return None;
    }
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (number, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if number > 0 {
            lines.push(style.dim("⋯").to_string());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = printable(change.value().trim_end_matches('\n'));
            let line = match change.tag() {
                ChangeTag::Equal => format!("  {text}"),
                ChangeTag::Delete => style.bad(format_args!("- {text}")).to_string(),
                ChangeTag::Insert => style.good(format_args!("+ {text}")).to_string(),
            };
            lines.push(line);
        }
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_shown_with_what_is_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n";
        let after = before.replace("5\n", "five\n").replace("14\n", "14\nend\n");
        let expected = "  2\n  3\n  4\n- 5\n+ five\n  6\n  7\n  8\n⋯\n  12\n  13\n  14\n+ end";
        assert_eq!(change(before, &after, Style::Plain).unwrap(), expected);
        assert_eq!(change(before, before, Style::Plain), None);
    }

    #[test]
    fn a_change_cannot_drive_the_terminal() {
        let shown = change("a\n", "\u{1b}[2J\u{202e}\n", Style::Plain).unwrap();
        assert_eq!(shown, "- a\n+ \u{fffd}[2J\u{fffd}");
    }
}
