//! Run events as lines for a person.

use std::io::{self, Stdout, Write};

use harombe_proto::hitl::v1::Approval;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{
    ApprovalDecided, ApprovalRequired, ContextBuilt, Decision, OutputStream, Risk, RunEvent, RunFinished,
    StopReason, ToolFinished, ToolOutcome, ToolOutput, ToolStarted,
};
use serde_json::Value;

use super::output::{Left, Outputs};
use super::page::Page;
use super::streaming::{Streaming, Words};
use super::style::Style;
use super::text::{model_name, printable, shortened};
use super::words;

/// Where a run is shown. Remembers how much of each text and output it has written, so that what comes twice is shown once.
#[derive(Debug)]
pub struct Screen<W> {
    page: Page<W>,
    text: Streaming,
    outputs: Outputs,
}

/// How many lines of a message and of a tool's answer are shown; executed code shows all of its output.
const MOST_LINES: usize = 12;

impl Screen<Stdout> {
    /// A screen on standard output.
    #[must_use]
    pub fn of_stdout() -> Self {
        Self::new(io::stdout(), Style::of_stdout(), Style::columns_of_stdout())
    }
}

impl<W: Write> Screen<W> {
    pub fn new(out: W, style: Style, columns: Option<usize>) -> Self {
        Self {
            page: Page::new(out, style, columns),
            text: Streaming::default(),
            outputs: Outputs::default(),
        }
    }

    /// What the person says.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn message(&mut self, text: &str) -> io::Result<()> {
        self.chapter("message", &shortened(&printable(text), MOST_LINES))
    }

    /// A line with a name in the margin, after an empty one.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn chapter(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.page.paragraph()?;
        self.step(name, text)
    }

    /// A line with a name in the margin.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn step(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.page.open(name)?;
        self.page.prose(text)?;
        self.page.end_line()
    }

    /// A line under the last step.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn detail(&mut self, text: &str) -> io::Result<()> {
        self.page.detail(text)
    }

    /// The colours of this screen.
    pub fn style(&self) -> Style {
        self.page.style()
    }

    /// Shows an event; those that a person need not see are passed over.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        match &event.event {
            Some(Event::RunStarted(started)) => {
                let model = model_name(&started.model);
                self.step("run", &format!("agent {} · model {model}", started.agent))
            }
            Some(Event::TextDelta(delta)) => {
                let words = self.text.delta(delta.offset, &delta.text);
                self.say(words)
            }
            Some(Event::TextFinished(finished)) => {
                let words = self.text.finished(&finished.text);
                self.say(words)?;
                self.page.end_line()
            }
            Some(Event::ToolCallProposed(call)) => {
                self.text = Streaming::default();
                let tool = self.style().bold(printable(&call.tool)).to_string();
                self.step("call", &tool)?;
                self.arguments(&call.tool, &call.arguments)
            }
            Some(Event::ApprovalRequired(required)) => self.approval_required(required),
            Some(Event::ApprovalDecided(decided)) => {
                let line = words::decided(self.style(), decided);
                self.detail(&line)
            }
            Some(Event::ToolStarted(started)) => self.tool_started(started),
            Some(Event::ToolOutput(output)) => self.tool_output(output),
            Some(Event::ToolFinished(finished)) => self.tool_finished(finished),
            Some(Event::RunFinished(finished)) => self.run_finished(finished),
            Some(Event::RunFailed(failed)) => {
                self.text = Streaming::default();
                let reason = printable(&failed.reason);
                let text = format!("{} · {}", self.style().bad(reason), printable(&failed.message));
                self.chapter("failed", &text)
            }
            Some(Event::ContextBuilt(context)) => self.context_built(context),
            Some(Event::Usage(_)) | None => Ok(()),
        }
    }

    /// What a pending approval would do, in full.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn approval(&mut self, approval: &Approval) -> io::Result<()> {
        let risk = Risk::try_from(approval.risk).unwrap_or_default();
        self.chapter("approval", &approval.approval_id)?;
        let head = format!(
            "{} · asked for by {} · {}",
            self.style().bold(printable(&approval.tool)),
            approval.requested_by,
            words::risk(self.style(), risk)
        );
        self.detail(&head)?;
        self.reasons(&approval.reasons)?;
        self.arguments(&approval.tool, &approval.arguments)?;
        if approval.decision == Decision::Unspecified as i32 {
            return Ok(());
        }
        let decided = ApprovalDecided {
            decision: approval.decision,
            decided_by: approval.decided_by.clone(),
            ..ApprovalDecided::default()
        };
        let line = words::decided(self.style(), &decided);
        self.detail(&line)
    }

    /// Asks on an open line; the answer is read elsewhere.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn ask(&mut self, question: &str) -> io::Result<()> {
        self.page.end_line()?;
        let question = format!("{} ", self.style().warn(question));
        self.page.prose(&question)?;
        self.page.flush()
    }

    /// The person ended the line of the question.
    pub fn answered(&mut self) {
        self.page.line_was_ended();
    }

    /// What the model is told of other sessions.
    fn context_built(&mut self, context: &ContextBuilt) -> io::Result<()> {
        match context.recalled.len() {
            0 => {}
            1 => self.step("recalled", "1 memory, shown to the model as data")?,
            count => self.step(
                "recalled",
                &format!("{count} memories, shown to the model as data"),
            )?,
        }
        if context.recall_fault.is_empty() {
            return Ok(());
        }
        self.detail(&format!("recalling: {}", printable(&context.recall_fault)))
    }

    fn approval_required(&mut self, required: &ApprovalRequired) -> io::Result<()> {
        let risk = Risk::try_from(required.risk).unwrap_or_default();
        let id = self.style().dim(&required.approval_id);
        let line = format!("{} · waits for approval {id}", words::risk(self.style(), risk));
        self.detail(&line)?;
        self.reasons(&required.reasons)
    }

    fn reasons(&mut self, reasons: &[String]) -> io::Result<()> {
        for reason in reasons {
            self.detail(&format!("– {}", printable(reason)))?;
        }
        Ok(())
    }

    fn tool_started(&mut self, started: &ToolStarted) -> io::Result<()> {
        let risk = Risk::try_from(started.risk).unwrap_or_default();
        let line = if started.isolation.is_empty() {
            format!("{} · runs without asking", words::risk(self.style(), risk))
        } else {
            let isolation = self.style().good(&started.isolation);
            format!("running in a fresh sandbox · isolation {isolation}")
        };
        // After an approval, what is run outside of sandboxes needs no line more.
        if started.isolation.is_empty() && risk != Risk::Low {
            return Ok(());
        }
        self.detail(&line)
    }

    fn tool_output(&mut self, output: &ToolOutput) -> io::Result<()> {
        let Some(new) = self.outputs.hear(output) else {
            return Ok(());
        };
        if new.missed > 0 {
            self.detail(&words::missed(new.missed))?;
        }
        let rule = if output.stream == OutputStream::Stderr as i32 {
            "!"
        } else {
            "│"
        };
        self.page
            .exact(rule, &printable(&String::from_utf8_lossy(new.data)))
    }

    fn tool_finished(&mut self, finished: &ToolFinished) -> io::Result<()> {
        if words::is_told_already(finished) {
            return Ok(());
        }
        let (line, outcome) = words::outcome(self.style(), finished);
        match self.outputs.left(finished) {
            Left::Nothing => {}
            Left::All(text) => {
                self.page.end_line()?;
                self.page.exact("│", &printable(text))?;
            }
            Left::Parts(text) => {
                self.detail(words::AGAIN)?;
                self.page.exact("│", &printable(text))?;
            }
        }
        // Executed code has shown its output by now; of everything else, what the model is told is worth seeing.
        let told = shortened(&printable(&finished.result), MOST_LINES);
        if finished.exit_code.is_none() && outcome == ToolOutcome::Ok {
            self.page.end_line()?;
            self.page.exact("│", &told)?;
        }
        self.detail(&line)?;
        if finished.exit_code.is_none() && outcome != ToolOutcome::Ok {
            for text in told.lines() {
                self.detail(text)?;
            }
        }
        words::redactions(self.style(), finished).map_or(Ok(()), |line| self.detail(&line))
    }

    fn run_finished(&mut self, finished: &RunFinished) -> io::Result<()> {
        let reason = StopReason::try_from(finished.stop_reason).unwrap_or_default();
        self.chapter("done", words::stopped(reason))
    }

    fn say(&mut self, words: Words) -> io::Result<()> {
        let new = match words {
            Words::None => return Ok(()),
            Words::More(new) => new,
            Words::First(new) => {
                self.page.paragraph()?;
                self.page.open("model")?;
                new
            }
            Words::Anew(new) => {
                let line = self
                    .style()
                    .warn("the answer broke off and begins anew")
                    .to_string();
                self.detail(&line)?;
                self.page.open("model")?;
                new
            }
        };
        self.page.prose(&printable(&new))?;
        self.page.flush()
    }

    fn arguments(&mut self, tool: &str, arguments: &str) -> io::Result<()> {
        let Ok(Value::Object(mut map)) = serde_json::from_str::<Value>(arguments) else {
            return self.page.block("arguments", &printable(arguments));
        };
        if tool == "code_execute"
            && let Some(Value::String(code)) = map.get("code").cloned()
        {
            let language = map.get("language").and_then(Value::as_str).unwrap_or("code");
            self.page.block(&printable(language), &printable(&code))?;
            map.remove("code");
            map.remove("language");
        }
        for (key, value) in &map {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.page.end_line()?;
            self.page.exact("·", &printable(&format!("{key}: {value}")))?;
        }
        self.page.end_line()
    }
}

#[cfg(test)]
mod tests;
