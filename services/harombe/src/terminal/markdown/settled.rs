//! How much of a text that still comes in can be shown: what follows may turn a star into the beginning of emphasis, a line
//! with bars into the head of a table, a word into half a word.

use std::ops::Range;

/// The block with the last words, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    None,
    Words(usize),
    Heading(usize),
    Code(usize),
    Table(usize),
}

/// Nobody waits longer than this many bytes for the second star of a pair.
const PATIENCE: usize = 400;
/// A line that is longer says what it begins.
const TELLING: usize = 12;

/// Up to where the source stays as it was drawn; none when all of it does.
pub(super) fn settled_to(source: &str, leaf: Leaf, hold: Option<usize>) -> Option<usize> {
    let last_line = source.rfind('\n').map_or(0, |at| at + 1);
    // A line of dashes below words makes them a heading, unless it turns out to be an item.
    let is_closed = |at: usize| {
        let text = source.get(at..).unwrap_or_default();
        text.matches('\n').count() >= if text.starts_with('#') { 1 } else { 2 }
    };
    let ends_blank = source
        .get(source.trim_end().len()..)
        .unwrap_or_default()
        .matches('\n')
        .count()
        > 1;
    match leaf {
        Leaf::Heading(at) if is_closed(at) => None,
        Leaf::Heading(at) | Leaf::Table(at) => Some(at),
        Leaf::Words(_) if ends_blank => None,
        Leaf::Code(at) if is_fenced_off(source, at) => None,
        Leaf::None | Leaf::Code(_) => Some(last_line),
        Leaf::Words(at) => {
            let word = source.rfind(char::is_whitespace).map_or(0, |at| at + 1);
            let hold = hold.filter(|at| source.len() - at <= PATIENCE);
            let bars = source
                .get(at..)
                .is_some_and(|text| text.contains('|') && text.lines().count() <= 2);
            Some(if bars { at } else { word.min(hold.unwrap_or(word)) })
        }
    }
}

/// A source without the beginning of its last line, unless that says already what it is: it may end or change what stands above.
pub(super) fn telling(source: &str) -> &str {
    let (lines, last) = source.split_at(source.rfind('\n').map_or(0, |at| at + 1));
    if may_begin_a_block(last) { lines } else { source }
}

/// The first character of a piece of text that is none yet, but may become a mark when another comes.
pub(super) fn mark(source: &str, text: &str, range: &Range<usize>) -> Option<usize> {
    if text.len() != range.len() {
        // Something was written as an entity, or escaped.
        return None;
    }
    let before = source
        .get(..range.start)
        .and_then(|source| source.chars().next_back());
    let mut last = before.unwrap_or(' ');
    for (at, c) in text.char_indices() {
        let next = text.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        let opens = match c {
            '*' | '~' | '`' | '[' => next.is_none_or(|next| !next.is_whitespace()),
            '_' => !last.is_alphanumeric() && next.is_none_or(|next| !next.is_whitespace()),
            '<' => next.is_none_or(|next| next.is_ascii_alphabetic() || next == '/'),
            _ => false,
        };
        if opens {
            return Some(range.start + at);
        }
        last = c;
    }
    None
}

/// A line of which so little has come that it may be a heading, an item, a fence or a rule.
fn may_begin_a_block(line: &str) -> bool {
    let text = line.trim_start();
    let Some(first) = text.chars().next() else {
        return !line.is_empty();
    };
    if text.chars().all(|c| c == first || c == ' ') {
        return !first.is_alphabetic();
    }
    let begins = first.is_ascii_digit() || "#>-+*=|~_<`".contains(first);
    begins && (text.len() < TELLING || text.contains('|'))
}

fn is_fenced_off(source: &str, at: usize) -> bool {
    let code = source.get(at..).unwrap_or_default();
    let last = code
        .trim_end()
        .lines()
        .next_back()
        .unwrap_or_default()
        .trim_start();
    let fence = code.trim_start().chars().next().unwrap_or_default();
    let is_fence = matches!(fence, '`' | '~') && last.len() > 2 && last.chars().all(|c| c == fence);
    is_fence && code.trim_end().contains('\n') && code.ends_with('\n')
}
