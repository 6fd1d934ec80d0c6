//! CommonMark's blocks as lines: each is drawn under the one before it, to the right of whatever it lies in.

mod code;
mod inline;

use std::mem::take;
use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::super::style::Style;
use super::super::text::printable;
use super::super::width::columns;
use super::layout::{Line, Span, wrap};
use super::look::Look;
use super::settled::{Leaf, mark, settled_to};
use super::table::Table;

/// A text as it was drawn.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) lines: Vec<Line>,
    /// Where in the source the last block begins, and with which line.
    pub(super) last_block: usize,
    pub(super) last_line: usize,
    /// The line on which the next words would come to stand.
    pub(super) growing: Option<usize>,
    /// However the source goes on, what it has up to here stays as it is.
    pub(super) settled: usize,
    /// Whether the last block stands apart from the one before it.
    pub(super) gap: bool,
}

/// Columns that what a block lies in leaves it at least.
const NARROWEST: usize = 16;

/// Draws a text that begins with a block.
pub(super) fn draw(source: &str, style: Style, width: usize, gap: bool) -> Drawn {
    let mut blocks = Blocks {
        source,
        style,
        width,
        gap,
        lines: Vec::new(),
        inside: Vec::new(),
        lists: Vec::new(),
        looks: Vec::new(),
        spans: Vec::new(),
        links: Vec::new(),
        leaf: Leaf::None,
        hold: None,
        code: None,
        table: None,
        depth: 0,
        last: (0, 0),
        last_gap: gap,
    };
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        blocks.event(event, range);
    }
    blocks.flush();
    let settled = settled_to(source, blocks.leaf, blocks.hold);
    // Words may come to stand on the last line of what is not finished.
    if settled.is_some()
        && let Some(last) = blocks.lines.last_mut()
    {
        last.settled = usize::MAX;
    }
    // The end of a frame stands below the code that is still to come.
    let below = if matches!(blocks.leaf, Leaf::Code(_)) {
        2
    } else {
        1
    };
    Drawn {
        growing: settled.and(blocks.lines.len().checked_sub(below)),
        settled: settled.unwrap_or(source.len()),
        lines: blocks.lines,
        last_block: blocks.last.0,
        last_line: blocks.last.1,
        gap: blocks.last_gap,
    }
}

/// What a block lies in: what stands to the left of its first line, and of all others.
struct Inside {
    first: Option<String>,
    rest: String,
    columns: usize,
}

struct Blocks<'a> {
    source: &'a str,
    style: Style,
    width: usize,
    gap: bool,
    lines: Vec<Line>,
    inside: Vec<Inside>,
    /// The number of the next item, where items are numbered.
    lists: Vec<Option<u64>>,
    looks: Vec<Look>,
    spans: Vec<Span>,
    /// Where the open links lead, and the words of each begin.
    links: Vec<(String, usize)>,
    /// The last block that has words of its own, and the first of them that may still turn out to be a mark.
    leaf: Leaf,
    hold: Option<usize>,
    code: Option<String>,
    table: Option<Table>,
    depth: usize,
    last: (usize, usize),
    last_gap: bool,
}

impl Blocks<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        if self.depth == 0 && !matches!(event, Event::End(_)) {
            let before = self.source.get(..range.start).unwrap_or_default();
            self.last = (before.rfind('\n').map_or(0, |at| at + 1), self.lines.len());
            self.last_gap = self.gap;
        }
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                self.start(tag, &range);
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                self.end(tag, &range);
            }
            Event::Text(text) => self.text(&text, &range),
            Event::Code(text) => {
                let around = self.around(Look::CODE);
                self.push(around, Look::CODE, range.start..range.start);
                self.push(&text, Look::CODE, range.clone());
                self.push(around, Look::CODE, range.end..range.end);
            }
            Event::Html(text) | Event::InlineHtml(text) => self.push_lines(&text, Look::DIM, range),
            Event::SoftBreak => self.push(" ", Look::PLAIN, range),
            Event::HardBreak => self.push_lines("\n", Look::PLAIN, range),
            Event::TaskListMarker(done) => self.push(if done { "[x] " } else { "[ ] " }, Look::PLAIN, range),
            Event::Rule => {
                self.begin(range.start);
                let line = "─".repeat(self.room().min(40));
                self.line(&[(&line, Look::DIM)], range.end);
                self.gap = true;
            }
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.push(&text, Look::PLAIN, range);
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.open(Leaf::Words(range.start)),
            Tag::Heading { level, .. } => {
                self.open(Leaf::Heading(range.start));
                self.looks.push(Look::HEADING);
                if self.style == Style::Plain {
                    let marks = "#".repeat(depth_of(level));
                    self.push(&format!("{marks} "), Look::PLAIN, range.start..range.start);
                }
            }
            Tag::BlockQuote(_) => {
                self.begin(range.start);
                self.gap = false;
                let mut bar = String::new();
                Look::DIM.paint(self.style, "│ ", &mut bar);
                self.enter(None, bar, 2);
            }
            Tag::List(first) => {
                self.flush();
                if self.lists.is_empty() {
                    self.begin(range.start);
                }
                self.lists.push(first);
            }
            Tag::Item => self.item(range.start),
            Tag::CodeBlock(kind) => self.open_code(&kind, range.start),
            Tag::Table(alignments) => {
                self.begin(range.start);
                self.leaf = Leaf::Table(range.start);
                self.table = Some(Table::new(alignments));
            }
            Tag::Emphasis => self.stand_out(Look::EMPHASIS, range),
            Tag::Strong => self.stand_out(Look::STRONG, range),
            Tag::Strikethrough => self.stand_out(Look::STRUCK, range),
            Tag::Link { dest_url, .. } => self.open_link(&dest_url),
            Tag::Image { dest_url, .. } => {
                self.push("image: ", Look::DIM, range.start..range.start);
                self.open_link(&dest_url);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: &Range<usize>) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.flush(),
            TagEnd::Heading(_) => {
                self.looks.pop();
                self.flush();
                self.gap = false;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.inside.pop();
                self.gap = true;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap = true;
            }
            TagEnd::Item => {
                self.flush();
                if self.inside.last().is_some_and(|inside| inside.first.is_some()) {
                    self.line(&[], range.end);
                }
                self.inside.pop();
            }
            TagEnd::CodeBlock => self.close_code(range),
            TagEnd::TableCell => {
                let cell = take(&mut self.spans);
                if let Some(table) = &mut self.table {
                    table.cell(cell);
                }
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                if let Some(table) = &mut self.table {
                    table.end_row();
                }
            }
            TagEnd::Table => self.close_table(range.end),
            TagEnd::Emphasis => self.stand_back(Look::EMPHASIS, range),
            TagEnd::Strong => self.stand_back(Look::STRONG, range),
            TagEnd::Strikethrough => self.stand_back(Look::STRUCK, range),
            TagEnd::Link | TagEnd::Image => self.close_link(range.end),
            _ => {}
        }
    }

    /// A block begins: what went before it is written, and stands apart if it should.
    fn begin(&mut self, at: usize) {
        self.flush();
        (self.leaf, self.hold) = (Leaf::None, None);
        if take(&mut self.gap) {
            self.line(&[], at);
        }
    }

    fn open(&mut self, leaf: Leaf) {
        let (Leaf::Words(at) | Leaf::Heading(at) | Leaf::Code(at) | Leaf::Table(at)) = leaf else {
            return;
        };
        self.begin(at);
        self.leaf = leaf;
    }

    fn item(&mut self, at: usize) {
        self.flush();
        self.gap = false;
        (self.leaf, self.hold) = (Leaf::Words(at), None);
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => "• ".to_owned(),
        };
        let indent = columns(&marker);
        self.enter(Some(marker), " ".repeat(indent), indent);
    }

    fn enter(&mut self, first: Option<String>, rest: String, columns: usize) {
        let fits = self.room() >= NARROWEST + columns;
        self.inside.push(Inside {
            first: first.filter(|_| fits),
            rest: if fits { rest } else { String::new() },
            columns: if fits { columns } else { 0 },
        });
    }

    /// Columns that are left for words.
    fn room(&self) -> usize {
        let taken: usize = self.inside.iter().map(|inside| inside.columns).sum();
        self.width.saturating_sub(taken)
    }

    fn close_table(&mut self, settled: usize) {
        if let Some(table) = self.table.take() {
            for line in table.lines(self.room(), self.style) {
                self.put(&Line { settled, ..line });
            }
        }
        self.gap = true;
    }

    fn text(&mut self, text: &str, range: &Range<usize>) {
        if let Some(code) = &mut self.code {
            code.push_str(&printable(text));
            let mut lines = take(code);
            let mut at = range.end.saturating_sub(text.len());
            while let Some((line, rest)) = lines.split_once('\n') {
                at += line.len() + 1;
                self.code_line(line, at);
                lines = rest.to_owned();
            }
            self.code = Some(lines);
            return;
        }
        if self.hold.is_none() {
            self.hold = mark(self.source, text, range);
        }
        self.push(text, Look::PLAIN, range.clone());
    }

    /// Writes the words that have come together.
    fn flush(&mut self) {
        let spans = take(&mut self.spans);
        if spans.is_empty() {
            return;
        }
        for line in wrap(&spans, self.room(), self.style) {
            self.put(&line);
        }
        self.gap = true;
    }

    fn line(&mut self, parts: &[(&str, Look)], settled: usize) {
        let mut line = Line::empty(settled);
        for (text, look) in parts {
            line.columns += columns(text);
            look.paint(self.style, text, &mut line.text);
        }
        self.put(&line);
    }

    /// Writes a line to the right of what it lies in.
    fn put(&mut self, line: &Line) {
        let mut text = String::new();
        let mut taken = 0;
        for inside in &mut self.inside {
            text.push_str(&inside.first.take().unwrap_or_else(|| inside.rest.clone()));
            taken += inside.columns;
        }
        text.push_str(&line.text);
        self.lines.push(Line {
            text: if line.columns == 0 {
                text.trim_end().to_owned()
            } else {
                text
            },
            columns: taken + line.columns,
            settled: line.settled,
        });
    }
}

const fn depth_of(level: HeadingLevel) -> usize {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
