//! A conversation with its questions, as a `LoCoMo` file tells it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use serde_json::Value;

use crate::run::Result;

/// The longest text, question and name that the service takes, in bytes.
const TEXT_MAX: usize = 16 * 1024;
const QUESTION_MAX: usize = 8 * 1024;
const NAME_MAX: usize = 256;
/// Questions of this category have no answer in the conversation.
const ADVERSARIAL: u64 = 5;

pub(crate) struct Conversation {
    /// The name of its file.
    pub(crate) name: String,
    /// Its place among the conversations.
    pub(crate) number: usize,
    pub(crate) turns: Vec<Turn>,
    pub(crate) questions: Vec<Question>,
    /// Questions without a word.
    pub(crate) unasked: Vec<Question>,
}

/// What one person said at once.
pub(crate) struct Turn {
    pub(crate) speaker: String,
    /// What was said and, in brackets, what the picture shows that was sent along.
    pub(crate) text: String,
    /// The number of its session.
    pub(crate) session: u32,
    /// Its place in the session, from 1.
    pub(crate) ordinal: u32,
    /// In milliseconds since the Unix epoch: when its session began, and a second more for each turn before it, on the
    /// same day.
    pub(crate) time_ms: i64,
}

pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) category: u64,
    /// The turns that answer it, by their place in the conversation; at least one.
    pub(crate) evidence: BTreeSet<usize>,
}

impl Conversation {
    /// # Errors
    /// What is missing or has another form.
    pub(crate) fn read(name: &str, number: usize, file: &Value) -> Result<Self> {
        let mut turns = Vec::new();
        let mut by_id = BTreeMap::new();
        for (session, said) in sessions(file) {
            let key = format!("session_{session}_date_time");
            let date = file[&key].as_str().ok_or(format!("{key} is missing"))?;
            let start = moment(date).ok_or(format!("{key} is no date: {date:?}"))?;
            for (ordinal, turn) in (1..).zip(said) {
                if let Some(id) = turn["dia_id"].as_str() {
                    by_id.insert(id.to_owned(), turns.len());
                }
                turns.push(Turn {
                    speaker: name_of(turn),
                    text: text_of(turn),
                    session,
                    ordinal,
                    time_ms: after(start, ordinal - 1),
                });
            }
        }
        let asked = file["qa"].as_array().ok_or("qa is missing")?;
        let counted = asked.iter().filter_map(|qa| question(qa, &by_id));
        let (unasked, questions) = counted.partition(|question| question.text.trim().is_empty());
        Ok(Self {
            name: name.to_owned(),
            number,
            turns,
            questions,
            unasked,
        })
    }
}

/// The sessions that have turns, by their numbers.
fn sessions(file: &Value) -> BTreeMap<u32, &Vec<Value>> {
    let members = file.as_object().into_iter().flatten();
    let number = |key: &str| key.strip_prefix("session_")?.parse().ok();
    members
        .filter_map(|(key, value)| Some((number(key)?, value.as_array()?)))
        .collect()
}

fn text_of(turn: &Value) -> String {
    let said = turn["text"].as_str().unwrap_or_default().trim();
    let text = match turn["blip_caption"].as_str().map(str::trim) {
        Some(shown) if !shown.is_empty() => format!("{said} [{shown}]"),
        _ => said.to_owned(),
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    made_fit(&text, TEXT_MAX, |letter| matches!(letter, '\n' | '\t'))
}

fn name_of(turn: &Value) -> String {
    made_fit(turn["speaker"].as_str().unwrap_or_default(), NAME_MAX, |_| false)
}

/// At most so many bytes of the text. Control characters become U+FFFD, as in what the service takes from a turn, but for some.
fn made_fit(text: &str, most: usize, but: impl Fn(char) -> bool) -> String {
    let odd = |letter: char| letter.is_control() && !but(letter);
    let mut fit = text.replace(odd, "\u{fffd}");
    fit.truncate(fit.floor_char_boundary(most));
    fit
}

/// "1:56 pm on 8 May, 2023", in UTC.
fn moment(text: &str) -> Option<i64> {
    let time = DateTime::strptime("%I:%M %p on %d %B, %Y", text).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}

/// So many seconds after the start, on the same day.
fn after(start: i64, seconds: u32) -> i64 {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let last = start - start.rem_euclid(DAY) + DAY - 1;
    (start + i64::from(seconds) * 1000).min(last)
}

/// None for one that is not counted: without an answer in the conversation, or without evidence there.
fn question(qa: &Value, by_id: &BTreeMap<String, usize>) -> Option<Question> {
    let category = qa["category"]
        .as_u64()
        .filter(|category| *category != ADVERSARIAL)?;
    let evidence: BTreeSet<usize> = match &qa["evidence"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).flat_map(named).collect(),
        Value::String(text) => named(text).collect(),
        _ => BTreeSet::new(),
    }
    .into_iter()
    .filter_map(|id: String| by_id.get(&id).copied())
    .collect();
    (!evidence.is_empty()).then(|| Question {
        text: made_fit(qa["question"].as_str().unwrap_or_default(), QUESTION_MAX, |_| {
            true
        }),
        category,
        evidence,
    })
}

/// Every `D<n>:<m>` of a text.
fn named(text: &str) -> impl Iterator<Item = String> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    text.match_indices('D').filter_map(move |(at, _)| {
        let rest = text.get(at + 1..)?;
        let first = digits(rest);
        let second = digits(rest.get(first..)?.strip_prefix(':')?);
        let whole = first > 0 && second > 0;
        whole.then(|| text.get(at..at + 2 + first + second).map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests;
