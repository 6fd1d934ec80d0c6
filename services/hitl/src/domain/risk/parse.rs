//! Reads rule files and goes on after a fault, so that its author sees every fault in one go.

mod condition;

use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Risk;
use super::fault::RuleFault;
use super::rule::Rule;

/// Wait for an approver unless the rule says otherwise (CONTRACTS §8).
pub(super) const DEFAULT_DEADLINE: Duration = Duration::from_secs(15 * 60);
const MAX_DEADLINE: SignedDuration = SignedDuration::from_hours(7 * 24);
const RULE_KEYS: [&str; 6] = ["name", "tool", "risk", "reason", "deadline", "when"];

type Value<'t> = Spanned<DeValue<'t>>;
type Span = Range<usize>;

/// The rules of one file, with where each begins, in the order written.
pub(super) fn rules(source: &str, text: &str, faults: &mut Vec<RuleFault>) -> Vec<(Rule, Span)> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        source,
        text,
        rule: None,
        faults,
    };
    // What a broken file seems to say would only be noise beside the syntax errors.
    let broken = !errors.is_empty();
    for error in errors {
        reader.fault(
            error.span().unwrap_or(0..0),
            format!("not valid TOML: {}", error.message()),
            "see https://toml.io".to_owned(),
        );
    }
    if broken {
        return Vec::new();
    }
    let mut rules = Vec::new();
    for (key, value) in document.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("rule", DeValue::Array(tables)) => {
                rules.extend(
                    tables
                        .iter()
                        .filter_map(|table| Some((reader.rule(table)?, table.span()))),
                );
            }
            ("rule", _) => reader.fault(value.span(), "`rule` is not a list", "write `[[rule]]`"),
            (other, _) => reader.fault(
                key.span(),
                format!("unknown key `{other}`"),
                "a rule file holds only `[[rule]]` entries",
            ),
        }
    }
    rules
}

/// The line and column of a byte offset, both counted from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let head = text.get(..offset).unwrap_or(text);
    let line = head.rsplit('\n').next().unwrap_or(head);
    (head.matches('\n').count() + 1, line.chars().count() + 1)
}

struct Reader<'f> {
    source: &'f str,
    text: &'f str,
    rule: Option<String>,
    faults: &'f mut Vec<RuleFault>,
}

impl Reader<'_> {
    fn fault(&mut self, span: Span, problem: impl Into<String>, fix: impl Into<String>) {
        let (line, column) = position(self.text, span.start);
        self.faults.push(RuleFault {
            source: self.source.to_owned(),
            line,
            column,
            rule: self.rule.clone(),
            problem: problem.into(),
            fix: fix.into(),
        });
    }

    /// One `[[rule]]`; `None` if anything about it is wrong, after all of it has been looked at.
    fn rule(&mut self, value: &Value<'_>) -> Option<Rule> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(
                value.span(),
                "a rule is not a table",
                "write `[[rule]]` and its keys below",
            );
            return None;
        };
        self.rule = table
            .get("name")
            .and_then(|name| name.get_ref().as_str())
            .map(str::to_owned);
        let before = self.faults.len();
        self.known_keys(table, &RULE_KEYS);
        let span = value.span();
        let rule = Rule {
            name: self
                .required(table, &span, "name", Self::text)
                .unwrap_or_default(),
            tools: self
                .required(table, &span, "tool", Self::texts)
                .unwrap_or_default(),
            risk: self
                .required(table, &span, "risk", Self::risk)
                .unwrap_or(Risk::Critical),
            reason: self
                .required(table, &span, "reason", Self::text)
                .unwrap_or_default(),
            deadline: self
                .optional(table, "deadline", Self::deadline)
                .unwrap_or(DEFAULT_DEADLINE),
            when: self.optional(table, "when", Self::conditions).unwrap_or_default(),
        };
        self.rule = None;
        (self.faults.len() == before).then_some(rule)
    }

    fn known_keys(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                self.fault(
                    key.span(),
                    format!("unknown key `{}`", key.get_ref()),
                    format!("use one of {}", known.join(", ")),
                );
            }
        }
    }

    fn required<T>(
        &mut self,
        table: &DeTable<'_>,
        span: &Span,
        key: &str,
        read: fn(&mut Self, &str, &Value<'_>) -> Option<T>,
    ) -> Option<T> {
        if table.get(key).is_none() {
            self.fault(
                span.clone(),
                format!("`{key}` is missing"),
                format!("add `{key} = ...`"),
            );
        }
        self.optional(table, key, read)
    }

    fn optional<T>(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        read: fn(&mut Self, &str, &Value<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = table.get(key)?;
        read(self, key, value)
    }

    fn text(&mut self, key: &str, value: &Value<'_>) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some(text.to_owned()),
            _ => {
                self.fault(
                    value.span(),
                    format!("`{key}` is not a text"),
                    format!("write `{key} = \"...\"`, not empty"),
                );
                None
            }
        }
    }

    /// A text or a list of texts, not empty.
    fn texts(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<String>> {
        match value.get_ref() {
            DeValue::Array(list) if !list.is_empty() => {
                let texts: Vec<_> = list.iter().filter_map(|item| self.text(key, item)).collect();
                (texts.len() == list.len()).then_some(texts)
            }
            DeValue::String(_) => self.text(key, value).map(|text| vec![text]),
            _ => {
                self.fault(
                    value.span(),
                    format!("`{key}` is neither a text nor a list of texts"),
                    format!("write `{key} = \"...\"` or `{key} = [\"...\", \"...\"]`"),
                );
                None
            }
        }
    }

    fn risk(&mut self, key: &str, value: &Value<'_>) -> Option<Risk> {
        let level = value
            .get_ref()
            .as_str()
            .and_then(|name| name.to_ascii_lowercase().parse::<Risk>().ok());
        if level.is_none() {
            self.fault(
                value.span(),
                format!("`{key}` is not a level of risk"),
                "use LOW, MEDIUM, HIGH or CRITICAL",
            );
        }
        level
    }

    fn deadline(&mut self, key: &str, value: &Value<'_>) -> Option<Duration> {
        let duration = value
            .get_ref()
            .as_str()
            .and_then(|text| text.parse::<SignedDuration>().ok())
            .filter(|duration| *duration >= SignedDuration::from_secs(1) && *duration <= MAX_DEADLINE)
            .and_then(|duration| Duration::try_from(duration).ok());
        if duration.is_none() {
            self.fault(
                value.span(),
                format!("`{key}` is not a duration from 1s to 7 days"),
                format!("write for example `{key} = \"15m\"`"),
            );
        }
        duration
    }
}
