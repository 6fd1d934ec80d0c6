//! What a model wants to do, and what came of it.

use std::io::{self, Write};

use harombe_proto::types::v1::{
    ApprovalRequired, OutputStream, Risk, ToolFinished, ToolOutcome, ToolOutput, ToolStarted,
};
use serde_json::{Map, Value};

use super::super::output::Left;
use super::super::text::{printable, shortened};
use super::super::words;
use super::View;
use super::change::change;

/// A call that a model proposes.
#[derive(Clone, Debug)]
pub struct Call {
    pub tool: String,
    /// JSON.
    pub arguments: String,
    /// What the file that it would write has now, where that is known.
    pub before: Option<String>,
}

/// How much of something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Compact,
    Whole,
}

/// Lines of a call that are shown when it is proposed.
const MOST_CALL_LINES: usize = 24;
/// Lines of what a tool answered.
const MOST_ANSWER_LINES: usize = 12;
/// A longer line of code is no compact view of it.
const LONGEST_LINE: usize = 1_000;

impl Call {
    /// The file that it would write, and with what.
    #[must_use]
    pub fn writes(&self) -> Option<(String, String)> {
        if self.tool != "file_write" {
            return None;
        }
        let Ok(Value::Object(map)) = serde_json::from_str(&self.arguments) else {
            return None;
        };
        let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("path")?, text("content")?))
    }
}

impl<W: Write> View<W> {
    /// Shows a call; answers whether all of it was shown.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn call(&mut self, call: &Call, extent: Extent) -> io::Result<bool> {
        self.end_text()?;
        self.page.paragraph()?;
        let title = self.style().bold(printable(&call.tool)).to_string();
        self.page.title(&title)?;
        if extent == Extent::Compact
            && let Some((path, content)) = call.writes()
            && let Some(before) = &call.before
            && let Some(changes) = change(before, &content, self.style())
        {
            self.framed(&format!("changes of {path}"), &changes, extent)?;
            // The file may be another by now: only its new content is what is approved.
            return Ok(false);
        }
        let Ok(Value::Object(mut map)) = serde_json::from_str(&call.arguments) else {
            return self.framed("arguments", &printable(&call.arguments), extent);
        };
        let mut whole = true;
        if let Some((name, text)) = main_part(&call.tool, &mut map) {
            whole &= self.framed(&name, &printable(&text), extent)?;
        }
        for (key, value) in &map {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let (text, is_all) = limited(&printable(&format!("{key}: {value}")), extent);
            whole &= is_all;
            self.page.end_line()?;
            self.page.exact("·", &text)?;
        }
        self.page.end_line()?;
        Ok(whole)
    }

    fn framed(&mut self, title: &str, text: &str, extent: Extent) -> io::Result<bool> {
        let (text, is_all) = limited(text.trim_end_matches('\n'), extent);
        self.page.block(&printable(title), &text)?;
        Ok(is_all)
    }

    pub(super) fn approval_required(&mut self, required: &ApprovalRequired) -> io::Result<()> {
        let risk = Risk::try_from(required.risk).unwrap_or_default();
        let line = format!("{} · needs an approval", words::risk(self.style(), risk));
        self.page.detail(&line)?;
        for reason in &required.reasons {
            self.page.detail(&format!("– {}", printable(reason)))?;
        }
        self.is_doing("waiting for an approval");
        Ok(())
    }

    pub(super) fn tool_started(&mut self, started: &ToolStarted) -> io::Result<()> {
        let what = match started.tool.as_str() {
            "code_execute" => "running in the sandbox",
            "web_fetch" => "fetching",
            "web_search" => "searching the web",
            "file_read" | "file_list" => "reading the workspace",
            "file_write" => "writing to the workspace",
            "memory_search" => "searching the memory",
            "memory_save" => "saving to the memory",
            other => other,
        };
        self.is_doing(what);
        if !started.isolation.is_empty() {
            let (call, isolation) = (started.call_id.clone(), started.isolation.clone());
            self.isolation.insert(call, isolation);
        }
        if self.surface.is_terminal && !self.surface.erases {
            self.aside(&format!("{what} …"))?;
        }
        Ok(())
    }

    pub(super) fn tool_output(&mut self, output: &ToolOutput) -> io::Result<()> {
        let Some(new) = self.outputs.hear(output) else {
            return Ok(());
        };
        if new.missed > 0 {
            self.aside(&words::missed(new.missed))?;
        }
        let is_error = output.stream == OutputStream::Stderr as i32;
        let rule = if is_error { "!" } else { "│" };
        self.page
            .exact(rule, &printable(&String::from_utf8_lossy(new.data)))
    }

    pub(super) fn tool_finished(&mut self, finished: &ToolFinished) -> io::Result<()> {
        self.page.end_line()?;
        if words::is_told_already(finished) {
            return Ok(());
        }
        let (mut line, outcome) = words::outcome(self.style(), finished);
        if let Some(isolation) = self.isolation.remove(&finished.call_id) {
            line.push_str(&format!(" · isolated by {}", printable(&isolation)));
        }
        match self.outputs.left(finished) {
            Left::Nothing => {}
            Left::All(text) => self.page.exact("│", printable(text).trim_end_matches('\n'))?,
            Left::Parts(text) => {
                self.aside(words::AGAIN)?;
                self.page.exact("│", printable(text).trim_end_matches('\n'))?;
            }
        }
        // Executed code has shown its output by now; of everything else, what the model is told is worth seeing.
        let told = shortened(&printable(&finished.result), MOST_ANSWER_LINES);
        let is_told = finished.exit_code.is_none() && !told.is_empty();
        if is_told && outcome == ToolOutcome::Ok {
            self.page.exact("│", told.trim_end_matches('\n'))?;
        }
        self.page.detail(&line)?;
        if is_told && outcome != ToolOutcome::Ok {
            for text in told.lines() {
                self.page.detail(text)?;
            }
        }
        match words::redactions(self.style(), finished) {
            Some(line) => self.page.detail(&line),
            None => Ok(()),
        }
    }
}

/// What is worth a frame of its own, with a name for it; the rest is left.
fn main_part(tool: &str, map: &mut Map<String, Value>) -> Option<(String, String)> {
    let (key, named_by, otherwise) = match tool {
        "code_execute" => ("code", "language", "code"),
        "file_write" => ("content", "path", "content"),
        _ => return None,
    };
    let Some(Value::String(text)) = map.get(key).cloned() else {
        return None;
    };
    map.remove(key);
    let name = match map.remove(named_by) {
        Some(Value::String(name)) => name,
        Some(other) => {
            map.insert(named_by.to_owned(), other);
            otherwise.to_owned()
        }
        None => otherwise.to_owned(),
    };
    Some((name, text))
}

/// A text as far as it is shown, and whether that is all of it.
fn limited(text: &str, extent: Extent) -> (String, bool) {
    let is_short =
        text.lines().count() <= MOST_CALL_LINES && text.lines().all(|line| line.len() <= LONGEST_LINE);
    if extent == Extent::Whole || is_short {
        return (text.to_owned(), true);
    }
    let mut shown = String::new();
    for line in text.lines().take(MOST_CALL_LINES) {
        shown.extend(line.chars().take(LONGEST_LINE));
        shown.push('\n');
    }
    let left = text.lines().count().saturating_sub(MOST_CALL_LINES);
    shown.push_str(&match left {
        0 => "… longer lines than are shown".to_owned(),
        left => format!("… {left} lines more"),
    });
    (shown, false)
}
