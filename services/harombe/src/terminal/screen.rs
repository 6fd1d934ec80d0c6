//! Run events as lines for a person.

use std::collections::HashMap;
use std::io::{self, Write};

use harombe_proto::hitl::v1::Approval;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{
    ApprovalDecided, ApprovalRequired, Decision, OutputStream, Risk, RunEvent, RunFinished, StopReason,
    ToolFinished, ToolOutcome, ToolOutput, ToolStarted,
};
use serde_json::Value;

use super::style::Style;

/// Where a run is shown. Remembers how much of each text and output it has written, so that what comes twice is shown once.
#[derive(Debug)]
pub struct Screen<W> {
    out: W,
    style: Style,
    /// Bytes of the text that is streaming in.
    text_shown: u64,
    output_shown: HashMap<(String, i32), u64>,
    /// The last byte written was not a line end.
    mid_line: bool,
}

impl<W: Write> Screen<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            text_shown: 0,
            output_shown: HashMap::new(),
            mid_line: false,
        }
    }

    /// A line with a name in the margin.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn step(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.end_line()?;
        writeln!(
            self.out,
            "{} {} {text}",
            self.style.bold("▸"),
            self.style.bold(format_args!("{name:<10}"))
        )
    }

    /// A line under the last step.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn detail(&mut self, text: &str) -> io::Result<()> {
        self.end_line()?;
        writeln!(self.out, "             {text}")
    }

    /// Shows an event; those that a person need not see are passed over.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        match &event.event {
            Some(Event::RunStarted(started)) => self.step(
                "run",
                &format!("agent {} · model {}", started.agent, started.model),
            ),
            Some(Event::TextDelta(delta)) => self.text(delta.offset, &delta.text),
            Some(Event::TextFinished(finished)) => {
                self.text(0, &finished.text)?;
                self.text_shown = 0;
                self.end_line()
            }
            Some(Event::ToolCallProposed(call)) => {
                self.text_shown = 0;
                self.step("call", &self.style.bold(&call.tool).to_string())?;
                self.arguments(&call.tool, &call.arguments)
            }
            Some(Event::ApprovalRequired(required)) => self.approval_required(required),
            Some(Event::ApprovalDecided(decided)) => self.approval_decided(decided),
            Some(Event::ToolStarted(started)) => self.tool_started(started),
            Some(Event::ToolOutput(output)) => self.tool_output(output),
            Some(Event::ToolFinished(finished)) => self.tool_finished(finished),
            Some(Event::RunFinished(finished)) => self.run_finished(finished),
            Some(Event::RunFailed(failed)) => {
                let text = format!("{} · {}", self.style.bad(&failed.reason), failed.message);
                self.step("failed", &text)
            }
            Some(Event::ContextBuilt(_) | Event::Usage(_)) | None => Ok(()),
        }
    }

    /// What a pending approval would do, in full.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn approval(&mut self, approval: &Approval) -> io::Result<()> {
        let risk = Risk::try_from(approval.risk).unwrap_or_default();
        let head = format!(
            "{} · {} · for {} · {}",
            approval.approval_id,
            self.style.bold(&approval.tool),
            approval.requested_by,
            self.risk(risk)
        );
        self.step("approval", &head)?;
        for reason in &approval.reasons {
            self.detail(&printable(reason))?;
        }
        self.arguments(&approval.tool, &approval.arguments)?;
        match Decision::try_from(approval.decision) {
            Ok(decision @ (Decision::Approved | Decision::Denied | Decision::Expired)) => {
                let by = if approval.decided_by.is_empty() {
                    "nobody"
                } else {
                    &approval.decided_by
                };
                let line = format!("{} by {by}", self.decision(decision));
                self.detail(&line)
            }
            Ok(Decision::Unspecified) | Err(_) => Ok(()),
        }
    }

    /// Asks on an open line; the answer is read elsewhere.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn ask(&mut self, question: &str) -> io::Result<()> {
        self.end_line()?;
        write!(self.out, "             {} ", self.style.warn(question))?;
        self.mid_line = true;
        self.out.flush()
    }

    /// The person ended the line of the question.
    pub fn answered(&mut self) {
        self.mid_line = false;
    }

    fn approval_required(&mut self, required: &ApprovalRequired) -> io::Result<()> {
        let risk = Risk::try_from(required.risk).unwrap_or_default();
        let line = format!(
            "{} · waits for approval {}",
            self.risk(risk),
            self.style.dim(&required.approval_id)
        );
        self.detail(&line)?;
        for reason in &required.reasons {
            let line = format!("{}", self.style.dim(format_args!("– {}", printable(reason))));
            self.detail(&line)?;
        }
        Ok(())
    }

    fn approval_decided(&mut self, decided: &ApprovalDecided) -> io::Result<()> {
        let decision = Decision::try_from(decided.decision).unwrap_or_default();
        let mut line = self.decision(decision);
        if !decided.decided_by.is_empty() {
            line.push_str(&format!(" by {}", decided.decided_by));
        }
        if decided.unattended {
            line.push_str(" · unattended");
        }
        if !decided.comment.is_empty() {
            line.push_str(&format!(" · {}", printable(&decided.comment)));
        }
        self.detail(&line)
    }

    fn tool_started(&mut self, started: &ToolStarted) -> io::Result<()> {
        let risk = Risk::try_from(started.risk).unwrap_or_default();
        let line = if started.isolation.is_empty() {
            format!("{} · running {}", self.risk(risk), started.tool)
        } else {
            format!(
                "running in a fresh sandbox · isolation {}",
                self.style.good(&started.isolation)
            )
        };
        self.detail(&line)
    }

    fn tool_output(&mut self, output: &ToolOutput) -> io::Result<()> {
        let shown = self
            .output_shown
            .entry((output.call_id.clone(), output.stream))
            .or_default();
        let Some(new) = unseen(*shown, output.offset, &output.data) else {
            return Ok(());
        };
        *shown = output.offset + output.data.len() as u64;
        let margin = if output.stream == OutputStream::Stderr as i32 {
            "!"
        } else {
            "│"
        };
        for piece in printable(&String::from_utf8_lossy(new)).split_inclusive('\n') {
            if !self.mid_line {
                write!(self.out, "             {} ", self.style.dim(margin))?;
            }
            write!(self.out, "{piece}")?;
            self.mid_line = !piece.ends_with('\n');
        }
        self.out.flush()
    }

    fn tool_finished(&mut self, finished: &ToolFinished) -> io::Result<()> {
        let outcome = ToolOutcome::try_from(finished.outcome).unwrap_or_default();
        let mut line = match outcome {
            ToolOutcome::Ok => self.style.good("finished").to_string(),
            ToolOutcome::Denied => self.style.bad("denied").to_string(),
            ToolOutcome::Invalid => self.style.warn("not run").to_string(),
            ToolOutcome::Unknown => self.style.warn("outcome unknown").to_string(),
            ToolOutcome::Failed | ToolOutcome::Unspecified => self.style.warn("failed").to_string(),
        };
        if let Some(code) = finished.exit_code {
            line.push_str(&format!(" · exit {code}"));
        }
        if !finished.reason.is_empty() {
            line.push_str(&format!(" · {}", finished.reason));
        }
        line.push_str(&format!(" · {} ms", finished.duration_ms));
        self.detail(&line)?;
        // Executed code has shown its output; what else the model is told is worth a line when it went wrong.
        if finished.exit_code.is_none() && outcome != ToolOutcome::Ok {
            for text in printable(&finished.result).lines().take(4) {
                let line = self.style.dim(text).to_string();
                self.detail(&line)?;
            }
        }
        if !finished.redactions.is_empty() {
            let kinds: Vec<_> = finished
                .redactions
                .iter()
                .map(|(kind, count)| format!("{count} × {kind}"))
                .collect();
            let line = format!("{} · {}", self.style.warn("redacted"), kinds.join(", "));
            self.detail(&line)?;
        }
        Ok(())
    }

    fn run_finished(&mut self, finished: &RunFinished) -> io::Result<()> {
        let why = match StopReason::try_from(finished.stop_reason).unwrap_or_default() {
            StopReason::Answered => "answered",
            StopReason::Cancelled => "cancelled",
            StopReason::StepLimit => "stopped at the step limit",
            StopReason::TokenLimit => "stopped at the token limit",
            StopReason::TimeLimit => "stopped at the time limit",
            StopReason::Unspecified => "ended",
        };
        self.step("done", why)
    }

    /// Streams model text: only what has not been written yet.
    fn text(&mut self, offset: u64, text: &str) -> io::Result<()> {
        let Some(new) = unseen(self.text_shown, offset, text.as_bytes()) else {
            return Ok(());
        };
        if self.text_shown == 0 {
            self.end_line()?;
            write!(
                self.out,
                "{} {} ",
                self.style.bold("▸"),
                self.style.bold(format_args!("{:<10}", "model"))
            )?;
        }
        self.text_shown = offset + text.len() as u64;
        let new = printable(&String::from_utf8_lossy(new));
        let indented = new.replace('\n', "\n             ");
        write!(self.out, "{indented}")?;
        self.mid_line = true;
        self.out.flush()
    }

    fn arguments(&mut self, tool: &str, arguments: &str) -> io::Result<()> {
        let Ok(Value::Object(map)) = serde_json::from_str::<Value>(arguments) else {
            return self.block("arguments", arguments);
        };
        let code = (tool == "code_execute")
            .then(|| map.get("code").and_then(Value::as_str))
            .flatten();
        match code {
            Some(code) => {
                let language = map.get("language").and_then(Value::as_str).unwrap_or("code");
                self.block(language, code)?;
                for (key, value) in map
                    .iter()
                    .filter(|(key, _)| !matches!(key.as_str(), "code" | "language"))
                {
                    self.detail(&printable(&format!("{key}: {value}")))?;
                }
                Ok(())
            }
            None => {
                for (key, value) in &map {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    self.detail(&printable(&format!("{key}: {value}")))?;
                }
                Ok(())
            }
        }
    }

    fn block(&mut self, title: &str, text: &str) -> io::Result<()> {
        let top = self.style.dim(format_args!("┌─ {title} ")).to_string();
        self.detail(&top)?;
        for line in printable(text).lines() {
            let line = format!("{} {line}", self.style.dim("│"));
            self.detail(&line)?;
        }
        let bottom = self.style.dim("└─").to_string();
        self.detail(&bottom)
    }

    fn risk(&self, risk: Risk) -> String {
        match risk {
            Risk::Low => self.style.good("risk LOW").to_string(),
            Risk::Medium => self.style.warn("risk MEDIUM").to_string(),
            Risk::High => self.style.warn("risk HIGH").to_string(),
            Risk::Critical => self.style.bad("risk CRITICAL").to_string(),
            Risk::Unspecified => "risk unknown".to_owned(),
        }
    }

    fn decision(&self, decision: Decision) -> String {
        match decision {
            Decision::Approved => self.style.good("approved").to_string(),
            Decision::Denied => self.style.bad("denied").to_string(),
            Decision::Expired => self.style.bad("expired, so denied").to_string(),
            Decision::Unspecified => "undecided".to_owned(),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.mid_line) {
            writeln!(self.out)?;
        }
        Ok(())
    }
}

/// The part of `data` (which begins at `offset`) that lies after the first `shown` bytes.
fn unseen(shown: u64, offset: u64, data: &[u8]) -> Option<&[u8]> {
    let skip = usize::try_from(shown.saturating_sub(offset)).ok()?;
    data.get(skip..).filter(|rest| !rest.is_empty())
}

/// Text without control characters that could drive the terminal: what is shown for approval must be what is there.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() || is_bidi_control(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Characters that reorder what follows them, so that code reads otherwise than it runs (CVE-2021-42574).
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
