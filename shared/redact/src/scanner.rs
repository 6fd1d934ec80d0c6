//! The public face: builds the anchor automaton once, scans and redacts whole texts.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use crate::machine::{Depth, Machine, More, Sink};
use crate::rule::Rule;
use crate::{assign, decode, marker, pem, providers, url};

/// A secret: what it is and which bytes of the text it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A short snake_case name, such as `github_token`.
    pub kind: &'static str,
    /// Byte offsets into the text that was scanned.
    pub range: Range<usize>,
}

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The text with every secret replaced by its [`marker`].
    pub text: String,
    /// What was replaced; ranges are those of the original text.
    pub findings: Vec<Finding>,
}

/// What an anchor starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// The rule with this index; the anchor must match by case.
    Rule {
        index: usize,
        anchor: &'static str,
    },
    Assignment,
    Url,
    PrivateKey,
    Fold,
}

pub(crate) struct CompiledRule {
    pub(crate) rule: &'static Rule,
    pub(crate) pattern: Regex,
}

pub(crate) struct Tables {
    pub(crate) anchors: AhoCorasick,
    /// By pattern id of the automaton.
    pub(crate) actions: Vec<Action>,
    pub(crate) rules: Vec<CompiledRule>,
}

/// The secret scanner. Cheap to clone; [`Scanner::shared`] is enough for most.
#[derive(Clone)]
pub struct Scanner {
    tables: Arc<Tables>,
}

impl Scanner {
    /// The scanner of this process, with the built-in table.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Scanner> = LazyLock::new(Scanner::default);
        &SHARED
    }

    /// Every secret in `text`, in order and without overlaps. `text` need not be UTF-8.
    pub fn scan(&self, text: impl AsRef<[u8]>) -> Vec<Finding> {
        self.scan_at(text.as_ref(), Depth::Plain)
    }

    /// `text` with each secret replaced by `[REDACTED:kind]`.
    pub fn redact(&self, text: &str) -> Redacted {
        let findings = self.scan(text);
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        for finding in &findings {
            clean.push_str(text.get(at..finding.range.start).unwrap_or_default());
            clean.push_str(&marker(finding.kind));
            at = finding.range.end;
        }
        clean.push_str(text.get(at..).unwrap_or_default());
        Redacted {
            text: clean,
            findings,
        }
    }

    pub(crate) fn scan_at(&self, text: &[u8], depth: Depth) -> Vec<Finding> {
        let mut spans = Spans::default();
        Machine::new(depth).advance(self, text, More::Never, &mut spans);
        spans.findings
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }
}

impl Default for Scanner {
    fn default() -> Self {
        let rules = providers::rules()
            .map(|rule| CompiledRule {
                rule,
                pattern: compile(rule.pattern),
            })
            .collect();
        let anchors = anchors();
        let automaton = automaton(anchors.iter().map(|(text, _)| *text));
        let actions = anchors.into_iter().map(|(_, action)| action).collect();
        Self {
            tables: Arc::new(Tables {
                anchors: automaton,
                actions,
                rules,
            }),
        }
    }
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner")
            .field("rules", &self.tables.rules.len())
            .finish_non_exhaustive()
    }
}

fn anchors() -> Vec<(&'static [u8], Action)> {
    let mut anchors: Vec<(&'static [u8], Action)> = Vec::new();
    for (index, rule) in providers::rules().enumerate() {
        anchors.extend(
            rule.anchors
                .iter()
                .map(|anchor| (anchor.as_bytes(), Action::Rule { index, anchor })),
        );
    }
    anchors.extend(
        assign::ANCHORS
            .iter()
            .map(|text| (text.as_bytes(), Action::Assignment)),
    );
    anchors.extend(decode::FOLD_ANCHORS.iter().map(|text| (*text, Action::Fold)));
    anchors.push((url::ANCHOR.as_bytes(), Action::Url));
    anchors.push((pem::ANCHOR.as_bytes(), Action::PrivateKey));
    anchors
}

#[expect(
    clippy::expect_used,
    reason = "the table is part of the program; leaving a rule out would leak what it guards"
)]
fn compile(pattern: &str) -> Regex {
    Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(Regex::config().utf8_empty(false))
        .build(pattern)
        .expect("every pattern of the provider table compiles")
}

#[expect(
    clippy::expect_used,
    reason = "the table is part of the program; without the automaton nothing would be found"
)]
fn automaton<'a>(anchors: impl Iterator<Item = &'a [u8]>) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(anchors)
        .expect("the anchors fit an automaton")
}

/// Collects findings with their offsets.
#[derive(Default)]
struct Spans {
    at: usize,
    findings: Vec<Finding>,
}

impl Sink for Spans {
    fn plain(&mut self, bytes: &[u8]) {
        self.at += bytes.len();
    }

    fn open(&mut self, kind: &'static str) {
        self.findings.push(Finding {
            kind,
            range: self.at..self.at,
        });
    }

    fn swallow(&mut self, len: usize) {
        self.at += len;
        if let Some(open) = self.findings.last_mut() {
            open.range.end = self.at;
        }
    }
}
