//! Searches whole lines: every anchor hit goes to its rule, long runs are looked behind.

use std::ops::Range;

use regex_automata::{Anchored, Input};

use crate::assign::{self, Seen};
use crate::candidate::{Candidate, merge};
use crate::checksum::{crc_matches, entropy};
use crate::machine::Depth;
use crate::rule::{Before, Check, Set, boundary_before};
use crate::scanner::{Action, CompiledRule, Scanner};
use crate::{benign, decode, pem, url};

/// Longer runs are not tried backwards: tokens are short.
const REVERSED_MAX: usize = 512;
/// Anchors of rules below this confidence are too common to be trusted backwards.
const REVERSED_CONFIDENCE: u8 = 95;

/// What a stretch of text holds.
pub(crate) struct Found {
    /// In order, not overlapping.
    pub(crate) candidates: Vec<Candidate>,
    /// Where the first private key header begins; nothing behind it was looked at.
    pub(crate) private_key: Option<usize>,
}

/// The line that is being searched.
struct Current {
    depth: Depth,
    span: Range<usize>,
    seen: Seen,
    folded: bool,
    /// The last provider match: hits inside it are part of it.
    covered: Range<usize>,
}

impl Current {
    fn new(depth: Depth, span: Range<usize>) -> Self {
        Self {
            depth,
            span,
            seen: Seen::default(),
            folded: false,
            covered: 0..0,
        }
    }
}

impl Scanner {
    /// Searches whole lines (or the window of a long one).
    pub(crate) fn search(&self, text: &[u8], depth: Depth) -> Found {
        let tables = self.tables();
        let mut candidates = Vec::new();
        let mut private_key = None;
        let mut current = Current::new(depth, 0..0);
        // an automaton of standard match kind supports overlapping searches, so this is never empty-handed
        if let Ok(hits) = tables.anchors.try_find_overlapping_iter(text) {
            for hit in hits {
                let Some(action) = tables.actions.get(hit.pattern().as_usize()) else {
                    continue;
                };
                if matches!(action, Action::PrivateKey) {
                    if text.get(hit.start()..).and_then(pem::header_len).is_some() {
                        private_key = Some(hit.start());
                        break;
                    }
                    continue;
                }
                if !current.span.contains(&hit.start()) {
                    current = Current::new(depth, line_around(text, hit.start()));
                }
                let base = current.span.start;
                let Some(line) = text.get(current.span.clone()) else {
                    continue;
                };
                let hit = hit.start() - base..hit.end() - base;
                let before = candidates.len();
                self.act(*action, line, hit, &mut current, &mut candidates);
                for candidate in candidates.iter_mut().skip(before) {
                    *candidate = candidate.shifted(base);
                }
            }
        }
        let text = private_key.and_then(|at| text.get(..at)).unwrap_or(text);
        if let Some(limit) = private_key {
            candidates.retain_mut(|candidate| {
                candidate.end = candidate.end.min(limit);
                candidate.start < candidate.end
            });
        }
        if depth == Depth::Plain {
            self.behind_runs(text, &mut candidates);
        }
        Found {
            candidates: merge(candidates),
            private_key,
        }
    }

    fn act(
        &self,
        action: Action,
        line: &[u8],
        hit: Range<usize>,
        current: &mut Current,
        out: &mut Vec<Candidate>,
    ) {
        match action {
            Action::Rule { index, anchor } => {
                let Some(compiled) = self.tables().rules.get(index) else {
                    return;
                };
                let rare = compiled.rule.confidence >= REVERSED_CONFIDENCE;
                let inside = hit.start > current.covered.start && hit.start < current.covered.end;
                if inside || (current.depth == Depth::Reversed && !rare) {
                    return;
                }
                if let Some(candidate) = apply(compiled, anchor, line, &hit) {
                    current.covered = candidate.start..candidate.end;
                    if candidate.kind == "aws_access_key" {
                        out.extend(aws_pair(line, candidate.end));
                    }
                    out.push(candidate);
                }
            }
            _ if current.depth == Depth::Reversed => {}
            Action::Assignment => out.extend(assign::find(line, hit, &mut current.seen)),
            Action::Url => out.extend(url::find(line, hit.start)),
            Action::Fold if !current.folded && current.depth == Depth::Plain => {
                current.folded = true;
                if let Some(unfolded) = decode::unfold(line) {
                    out.extend(self.behind(&unfolded));
                }
            }
            Action::Fold | Action::PrivateKey => {}
        }
    }

    /// Looks behind the encodings of long runs.
    fn behind_runs(&self, text: &[u8], out: &mut Vec<Candidate>) {
        for run in decode::runs(text) {
            let Some(bytes) = text.get(run.clone()) else {
                continue;
            };
            if let Some(unfolded) = decode::percent(bytes) {
                out.extend(
                    self.behind(&unfolded)
                        .into_iter()
                        .map(|candidate| candidate.shifted(run.start)),
                );
            }
            if bytes.len() <= REVERSED_MAX {
                let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
                let found = self.search(&reversed, Depth::Reversed).candidates;
                out.extend(found.into_iter().map(|c| {
                    let (start, end) = (run.end - c.end, run.end - c.start);
                    Candidate {
                        start,
                        end,
                        evidence: start,
                        ..c
                    }
                }));
            }
            for piece in decode::pieces(text, run) {
                let decoded = text.get(piece.clone()).and_then(decode::word);
                let finding =
                    decoded.and_then(|decoded| self.scan_at(&decoded, Depth::Decoded).into_iter().next());
                out.extend(finding.map(|finding| disguised(finding.kind, piece)));
            }
        }
    }

    fn behind(&self, unfolded: &decode::Unfolded) -> Vec<Candidate> {
        self.scan_at(&unfolded.bytes, Depth::Decoded)
            .into_iter()
            .filter_map(|finding| Some(disguised(finding.kind, unfolded.source(&finding.range)?)))
            .collect()
    }
}

fn disguised(kind: &'static str, span: Range<usize>) -> Candidate {
    Candidate {
        kind,
        start: span.start,
        end: span.end,
        evidence: span.start,
        confidence: 60,
    }
}

fn line_around(text: &[u8], at: usize) -> Range<usize> {
    let start = text
        .get(..at)
        .and_then(|before| memchr::memrchr(b'\n', before))
        .map_or(0, |n| n + 1);
    let end = text
        .get(at..)
        .and_then(|after| memchr::memchr(b'\n', after))
        .map_or(text.len(), |n| at + n);
    start..end
}

fn apply(compiled: &CompiledRule, anchor: &str, line: &[u8], hit: &Range<usize>) -> Option<Candidate> {
    let rule = compiled.rule;
    if line.get(hit.clone())? != anchor.as_bytes() {
        return None;
    }
    let mut start = start(rule.before, line, hit.start)?;
    let input = Input::new(line).range(hit.start..).anchored(Anchored::Yes);
    let mut end = compiled.pattern.search(&input)?.end();
    if line.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        if !matches!(rule.before, Before::Any) {
            return None;
        }
        end += line
            .get(end..)?
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || b"_-".contains(b))
            .count();
    }
    if matches!(rule.check, Check::UserPassword) {
        start += line
            .get(start..end)?
            .iter()
            .rposition(|b| b" \"'".contains(b))
            .map_or(0, |n| n + 1);
    }
    let secret = line.get(start..end)?;
    passes(rule.check, secret).then_some(Candidate {
        kind: rule.kind,
        start,
        end,
        evidence: start.min(hit.start),
        confidence: rule.confidence,
    })
}

/// Where the secret begins, if what stands before the anchor allows it.
fn start(before: Before, line: &[u8], anchor: usize) -> Option<usize> {
    match before {
        Before::Any => Some(anchor),
        Before::Boundary => boundary_before(line, anchor).then_some(anchor),
        Before::NotToken => {
            let joined = anchor
                .checked_sub(1)
                .and_then(|i| line.get(i))
                .is_some_and(|b| b"_-.".contains(b));
            (!joined && boundary_before(line, anchor)).then_some(anchor)
        }
        Before::Takes { set, min, max } => {
            let head = line.get(anchor.saturating_sub(max + 1)..anchor)?;
            let count = head.iter().rev().take_while(|b| set.holds(**b)).count();
            if matches!(set, Set::Connection) {
                let taken = head.get(head.len() - count..)?;
                let openings = [
                    &b"DefaultEndpointsProtocol="[..],
                    b"Endpoint=sb:",
                    b"https://",
                    b"AccountName=",
                ];
                let opening = openings
                    .iter()
                    .filter_map(|text| memchr::memmem::find(taken, text))
                    .min();
                return Some(opening.map_or(anchor, |n| anchor - count + n));
            }
            (min..=max).contains(&count).then(|| anchor - count)
        }
    }
}

fn passes(check: Check, secret: &[u8]) -> bool {
    if benign::is_placeholder(secret) {
        return false;
    }
    match check {
        Check::Shape => true,
        Check::Entropy(hundredths) => entropy(secret) * 100.0 >= f64::from(hundredths),
        Check::Crc => {
            let payload = secret.splitn(2, |b| *b == b'_').nth(1).unwrap_or_default();
            crc_matches(payload) || entropy(payload) >= 3.5
        }
        Check::UserPassword => {
            let password = secret.splitn(2, |b| *b == b':').nth(1).unwrap_or_default();
            !benign::is_placeholder(password)
                && !benign::is_path(password)
                && !password.iter().all(u8::is_ascii_digit)
                && !benign::is_name(password)
        }
    }
}

/// The secret that stands beside an AWS key id, as in the CSV file of the console: 40 characters of base64.
fn aws_pair(line: &[u8], from: usize) -> Option<Candidate> {
    let rest = line.get(from..)?;
    let mut at = from;
    for word in rest.split(|b| !(b.is_ascii_alphanumeric() || b"+/".contains(b))) {
        if word.len() == 40 && entropy(word) >= 4.2 && !benign::is_placeholder(word) {
            return Some(Candidate {
                kind: "aws_secret_key",
                start: at,
                end: at + 40,
                evidence: from,
                confidence: 80,
            });
        }
        at += word.len() + 1;
    }
    None
}
