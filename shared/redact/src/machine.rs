//! Cuts a byte stream into units that can be judged for good: complete lines, private key blocks, and windows
//! of lines that are too long. Where a unit ends depends on the bytes alone, never on how they arrived.

use crate::candidate::Candidate;
use crate::pem::{self, Line, SameLine};
use crate::scanner::Scanner;

/// A line longer than this is judged in windows of this size.
pub(crate) const WINDOW: usize = 32 * 1024;
/// Consecutive windows share this much, so a shorter secret is whole in one of them.
const OVERLAP: usize = 8 * 1024;

/// Receives the text piece by piece.
pub(crate) trait Sink {
    /// Bytes that may be seen.
    fn plain(&mut self, bytes: &[u8]);
    /// A secret begins here.
    fn open(&mut self, kind: &'static str);
    /// The next `len` bytes belong to the secret opened last.
    fn swallow(&mut self, len: usize);
}

/// How deep a disguise is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The text as it came: encodings are decoded once.
    Plain,
    /// A decoded text.
    Decoded,
    /// A reversed token: providers' own shapes only.
    Reversed,
}

/// Whether bytes can follow those in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Maybe,
    Never,
}

#[derive(Debug)]
enum Mode {
    Text,
    /// A secret that reached the end of its window: swallow until something ends it.
    Token,
    Key(Body),
}

/// What has been seen of a private key's body.
#[derive(Debug, Default)]
struct Body {
    /// Length of the first base64 line, 0 before it.
    width: usize,
    /// A shorter line came: only the end marker may follow.
    complete: bool,
}

#[derive(Debug)]
pub(crate) struct Machine {
    mode: Mode,
    depth: Depth,
}

enum Step {
    Took(usize),
    /// Nothing more can be decided with what is there.
    Starved,
}

impl Machine {
    pub(crate) fn new(depth: Depth) -> Self {
        Self {
            mode: Mode::Text,
            depth,
        }
    }

    /// Decides as much of `buffer` as can be decided and returns how many bytes that was.
    /// With [`More::Never`] it is all of them.
    pub(crate) fn advance(
        &mut self,
        scanner: &Scanner,
        buffer: &[u8],
        more: More,
        sink: &mut impl Sink,
    ) -> usize {
        let mut rest = buffer;
        while !rest.is_empty() {
            let step = match &mut self.mode {
                Mode::Text => self.text(scanner, rest, more, sink),
                Mode::Token => self.token(rest, sink),
                Mode::Key(body) => match body.step(rest, more, sink) {
                    KeyStep::Took(taken) => Step::Took(taken),
                    KeyStep::Starved => Step::Starved,
                    KeyStep::Ended(taken) => {
                        self.mode = Mode::Text;
                        Step::Took(taken)
                    }
                },
            };
            match step {
                Step::Took(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Step::Starved => break,
            }
        }
        buffer.len() - rest.len()
    }

    fn text(&mut self, scanner: &Scanner, rest: &[u8], more: More, sink: &mut impl Sink) -> Step {
        let Some(unit) = unit(rest, more) else {
            return Step::Starved;
        };
        if let Some(header) = pem::header_len(rest) {
            return self.key(rest, header, more, sink);
        }
        let (Unit::Lines(end) | Unit::Window(end)) = unit;
        let area = rest.get(..end).unwrap_or(rest);
        let found = scanner.search(area, self.depth);
        let area = found
            .private_key
            .map_or(area, |at| area.get(..at).unwrap_or(area));
        match unit {
            Unit::Window(_) if found.private_key.is_none() => self.window(area, &found.candidates, sink),
            _ => {
                emit(area, area.len(), &found.candidates, sink);
                Step::Took(area.len())
            }
        }
    }

    /// Emits the part of a window that the next one does not see again.
    fn window(&mut self, area: &[u8], candidates: &[Candidate], sink: &mut impl Sink) -> Step {
        let mut cut = area.len() - OVERLAP;
        for candidate in candidates {
            if candidate.evidence < cut && candidate.end > cut {
                cut = candidate.end;
            }
        }
        emit(area, cut, candidates, sink);
        if cut == area.len() && candidates.last().is_some_and(|last| last.end == cut) {
            self.mode = Mode::Token;
        }
        Step::Took(cut)
    }

    fn token(&mut self, rest: &[u8], sink: &mut impl Sink) -> Step {
        let end = rest
            .iter()
            .position(|b| b.is_ascii_whitespace() || b"\"'`<>,;(){}[]|\\".contains(b));
        if end.is_some() {
            self.mode = Mode::Text;
        }
        let taken = end.unwrap_or(rest.len());
        sink.swallow(taken);
        Step::Took(taken)
    }

    /// `rest` begins with a private key header of `header` bytes: a key, or only talk about one?
    fn key(&mut self, rest: &[u8], header: usize, more: More, sink: &mut impl Sink) -> Step {
        let line_end = line_end(rest);
        let tail = rest.get(header..line_end).unwrap_or_default();
        match pem::same_line(tail) {
            SameLine::Block(end) => {
                sink.open(pem::KIND);
                sink.swallow(header + end);
                return Step::Took(header + end);
            }
            SameLine::Continues { body } => {
                let next = rest.get(line_end + 1..).unwrap_or_default();
                if !body && !is_complete(next, more) {
                    return Step::Starved;
                }
                if body || pem::starts_body(next.get(..self::line_end(next)).unwrap_or_default()) {
                    let taken = header + tail.trim_ascii_end().len();
                    sink.open(pem::KIND);
                    sink.swallow(taken);
                    // a body that fills its window goes on like any secret without end
                    let endless = line_end < rest.len() && rest.get(line_end) != Some(&b'\n');
                    self.mode = if endless {
                        Mode::Token
                    } else {
                        Mode::Key(Body::default())
                    };
                    return Step::Took(taken);
                }
            }
            SameLine::Other => {}
        }
        sink.plain(rest.get(..header).unwrap_or_default());
        Step::Took(header)
    }
}

enum KeyStep {
    Took(usize),
    Ended(usize),
    Starved,
}

impl Body {
    /// `rest` begins at the end of the line before (its line break not yet taken).
    fn step(&mut self, rest: &[u8], more: More, sink: &mut impl Sink) -> KeyStep {
        let blank = rest
            .iter()
            .take(WINDOW)
            .take_while(|b| matches!(b, b' ' | b'\t' | b'\r'))
            .count();
        match rest.get(blank) {
            Some(b'\n') => {}
            None if more == More::Maybe && blank < WINDOW => return KeyStep::Starved,
            _ => return KeyStep::Ended(0),
        }
        let start = blank + 1;
        let next = rest.get(start..).unwrap_or_default();
        if !is_complete(next, more) {
            return KeyStep::Starved;
        }
        let text = next.get(..line_end(next)).unwrap_or_default();
        if let Some(end) = pem::end_marker(text) {
            sink.swallow(start + end);
            return KeyStep::Ended(start + end);
        }
        let belongs = match pem::line(text) {
            Line::Body(_) if self.complete => false,
            Line::Body(len) => {
                self.complete = len < self.width;
                self.width = self.width.max(len);
                true
            }
            Line::Header | Line::Blank => self.width == 0,
            Line::Other => false,
        };
        if !belongs {
            return KeyStep::Ended(0);
        }
        let taken = start + text.trim_ascii_end().len();
        sink.swallow(taken);
        KeyStep::Took(taken)
    }
}

enum Unit {
    /// Whole lines, this many bytes.
    Lines(usize),
    /// The head of a line that is longer than a window.
    Window(usize),
}

/// The largest stretch at the head of `rest` that later bytes cannot change.
fn unit(rest: &[u8], more: More) -> Option<Unit> {
    let mut end = 0;
    loop {
        let tail = rest.get(end..).unwrap_or_default();
        if tail.is_empty() {
            break;
        }
        match memchr::memchr(b'\n', tail.get(..=WINDOW).unwrap_or(tail)) {
            Some(at) => end += at + 1,
            None if tail.len() > WINDOW && end == 0 => return Some(Unit::Window(WINDOW)),
            None if tail.len() > WINDOW => break,
            None if more == More::Never => {
                end = rest.len();
                break;
            }
            None => break,
        }
    }
    (end > 0).then_some(Unit::Lines(end))
}

/// Length of the first line, without its line break, cut at [`WINDOW`].
fn line_end(text: &[u8]) -> usize {
    let reach = text.get(..WINDOW).unwrap_or(text);
    memchr::memchr(b'\n', reach).unwrap_or(reach.len())
}

/// Whether later bytes cannot change what [`line_end`] cuts off.
fn is_complete(text: &[u8], more: More) -> bool {
    more == More::Never || text.len() >= WINDOW || memchr::memchr(b'\n', text).is_some()
}

fn emit(area: &[u8], cut: usize, candidates: &[Candidate], sink: &mut impl Sink) {
    let mut at = 0;
    for candidate in candidates.iter().take_while(|c| c.end <= cut) {
        sink.plain(area.get(at..candidate.start).unwrap_or_default());
        sink.open(candidate.kind);
        sink.swallow(candidate.end - candidate.start);
        at = candidate.end;
    }
    sink.plain(area.get(at..cut).unwrap_or_default());
}
