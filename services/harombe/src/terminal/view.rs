//! A conversation as a person follows it: what the model says laid out as it comes, what it does in a frame, and one line
//! that tells what is going on.

mod calls;
mod change;
mod doing;
mod notes;

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Stdout, Write};
use std::time::Duration;

use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ContextBuilt, RunEvent, RunFinished, StopReason};

pub use self::calls::{Call, Extent};
use self::doing::Doing;
use super::live::Live;
use super::markdown::Markdown;
use super::output::Outputs;
use super::page::Page;
use super::streaming::{Streaming, Words};
use super::style::Style;
use super::words;

/// What a conversation is shown on.
#[derive(Clone, Copy, Debug)]
pub struct Surface {
    pub style: Style,
    /// None where lines are as long as they are.
    pub columns: Option<usize>,
    /// Whether a person looks at it, rather than a program.
    pub is_terminal: bool,
    /// Whether lines can be taken back.
    pub erases: bool,
}

impl Surface {
    #[must_use]
    pub fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            style: Style::of_stdout(),
            columns: Style::columns_of_stdout().filter(|_| is_terminal),
            is_terminal,
            erases: Style::can_erase_on_stdout(),
        }
    }
}

/// Where a conversation is shown. Remembers what it has shown, so that what comes twice is shown once.
#[derive(Debug)]
pub struct View<W: Write> {
    page: Page<Live<W>>,
    surface: Surface,
    text: Streaming,
    markdown: Option<Markdown>,
    outputs: Outputs,
    /// What isolates the calls that run.
    isolation: HashMap<String, String>,
    /// The run, and its newest stored event that was shown.
    seen: (String, u64),
    doing: Option<Doing>,
    /// Since the message was sent.
    elapsed: Duration,
}

/// Longer lines are hard to read.
const MEASURE: usize = 100;

impl View<Stdout> {
    #[must_use]
    pub fn of_stdout() -> Self {
        Self::new(io::stdout(), Surface::of_stdout())
    }
}

impl<W: Write> View<W> {
    pub fn new(out: W, surface: Surface) -> Self {
        Self {
            page: Page::narrow(Live::new(out, surface.erases), surface.style, surface.columns),
            surface,
            text: Streaming::default(),
            markdown: None,
            outputs: Outputs::default(),
            isolation: HashMap::new(),
            seen: (String::new(), 0),
            doing: None,
            elapsed: Duration::ZERO,
        }
    }

    /// The terminal may have another size than before.
    pub fn measure(&mut self) {
        if self.surface.is_terminal {
            self.surface.columns = Style::columns_of_stdout();
            self.page.set_width(self.surface.columns);
        }
    }

    #[must_use]
    pub fn surface(&self) -> Surface {
        self.surface
    }

    pub fn style(&self) -> Style {
        self.surface.style
    }

    /// How much was printed so far: another number than before means that something else stands last.
    #[must_use]
    pub fn printed(&self) -> u64 {
        self.page.written()
    }

    /// A message is on its way.
    pub fn sent(&mut self) {
        self.elapsed = Duration::ZERO;
        self.doing = Some(Doing::new("sending", Duration::ZERO));
    }

    /// Time has passed since the message was sent: tells what is going on.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn tick(&mut self, elapsed: Duration) -> io::Result<()> {
        self.elapsed = elapsed;
        self.draw()
    }

    /// What the run waits for, from now on.
    pub fn is_doing(&mut self, what: &str) {
        self.doing = Some(Doing::new(what, self.elapsed));
    }

    /// Nothing goes on any more.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn rests(&mut self) -> io::Result<()> {
        self.end_text()?;
        self.page.end_line()?;
        self.doing = None;
        self.page.out().erase()?;
        self.page.flush()
    }

    /// Shows an event; one that was shown before is passed over.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        let Some(kind) = &event.event else {
            return Ok(());
        };
        if self.seen.0 != event.run_id {
            self.begin_run(&event.run_id);
        }
        let newest = self.seen.1;
        match kind {
            // Those of a call have the place of its beginning; what of it was shown is known by its offset.
            Event::ToolOutput(_) => {}
            Event::TextDelta(_) if event.cursor < newest => return Ok(()),
            Event::TextDelta(_) => {}
            _ if event.cursor <= newest && newest > 0 => return Ok(()),
            _ => self.seen.1 = event.cursor,
        }
        self.show(kind)?;
        self.draw()
    }

    fn begin_run(&mut self, run: &str) {
        self.seen = (run.to_owned(), 0);
        self.text = Streaming::default();
        self.outputs = Outputs::default();
        self.isolation.clear();
    }

    fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted(_) => self.is_doing("thinking"),
            Event::ContextBuilt(context) => self.context_built(context)?,
            Event::TextDelta(delta) => {
                let words = self.text.delta(delta.offset, &delta.text);
                self.say(words)?;
            }
            Event::TextFinished(finished) => {
                let words = self.text.finished(&finished.text);
                self.say(words)?;
                self.end_text()?;
            }
            Event::ToolCallProposed(_) => {
                self.text = Streaming::default();
                self.end_text()?;
                self.is_doing("asking whether it may");
            }
            Event::ApprovalRequired(required) => self.approval_required(required)?,
            Event::ApprovalDecided(decided) => {
                let line = words::decided(self.style(), decided);
                self.page.detail(&line)?;
                self.is_doing("going on");
            }
            Event::ToolStarted(started) => self.tool_started(started)?,
            Event::ToolOutput(output) => self.tool_output(output)?,
            Event::ToolFinished(finished) => {
                self.tool_finished(finished)?;
                self.is_doing("thinking");
            }
            Event::RunFinished(finished) => self.run_finished(finished)?,
            Event::RunFailed(failed) => {
                self.text = Streaming::default();
                self.error(&format!("{} · {}", failed.reason, failed.message))?;
                self.aside(&format!("what to do about it: docs/errors/{}.md", failed.reason))?;
            }
            Event::Usage(_) => {}
        }
        Ok(())
    }

    fn context_built(&mut self, context: &ContextBuilt) -> io::Result<()> {
        match context.recalled.len() {
            0 => {}
            1 => self.aside("recalled 1 memory")?,
            count => self.aside(&format!("recalled {count} memories"))?,
        }
        if !context.recall_fault.is_empty() {
            self.warn(&format!("recalling: {}", context.recall_fault))?;
        }
        for left in &context.left_out {
            self.aside(&format!("left out {} {}: {}", left.count, left.what, left.reason))?;
        }
        self.is_doing("thinking");
        Ok(())
    }

    fn run_finished(&mut self, finished: &RunFinished) -> io::Result<()> {
        self.end_text()?;
        let reason = StopReason::try_from(finished.stop_reason).unwrap_or_default();
        if reason != StopReason::Answered {
            self.warn(words::stopped(reason))?;
        }
        let usage = finished.usage.unwrap_or_default();
        if self.surface.is_terminal && usage.input_tokens + usage.output_tokens > 0 {
            let (read, written) = (usage.input_tokens, usage.output_tokens);
            self.aside(&format!("{read} tokens read · {written} written"))?;
        }
        Ok(())
    }

    fn new_markdown(&self) -> Markdown {
        let room = match self.surface.columns {
            Some(columns) => columns.saturating_sub(2).min(MEASURE),
            None => usize::MAX,
        };
        Markdown::new(self.style(), room)
    }

    fn say(&mut self, words: Words) -> io::Result<()> {
        let new = match words {
            Words::None => return Ok(()),
            Words::More(new) => new,
            Words::First(new) => {
                self.page.paragraph()?;
                self.markdown = Some(self.new_markdown());
                new
            }
            Words::Anew(new) => {
                self.warn("the answer broke off and begins anew")?;
                self.markdown = Some(self.new_markdown());
                new
            }
        };
        let mut markdown = match self.markdown.take() {
            Some(markdown) => markdown,
            None => self.new_markdown(),
        };
        let lines = markdown.push(&new);
        self.markdown = Some(markdown);
        self.lines(lines)?;
        self.page.flush()
    }

    /// What has come of the text is all that there is.
    fn end_text(&mut self) -> io::Result<()> {
        match self.markdown.take() {
            Some(markdown) => self.lines(markdown.finish()),
            None => Ok(()),
        }
    }

    /// The last line: what has come of the next one, or else what is going on.
    fn draw(&mut self) -> io::Result<()> {
        if !self.surface.erases || !self.page.is_at_line_start() {
            return Ok(());
        }
        let line = match (self.markdown.as_ref().and_then(Markdown::preview), &self.doing) {
            (Some(preview), _) => format!("  {preview}"),
            (None, Some(doing)) => doing.line(self.elapsed, self.surface),
            (None, None) => return Ok(()),
        };
        self.page.out().draw(&line)
    }
}

#[cfg(test)]
mod tests;
