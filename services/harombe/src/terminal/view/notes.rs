//! What is said beside a run: lines of ours, lists, what was said before, questions.

use std::io::{self, Write};

use super::super::text::printable;
use super::View;

impl<W: Write> View<W> {
    /// A line of ours.
    ///
    /// # Errors
    /// When the terminal cannot be written, as of all that follow.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.page.detail(&printable(text))
    }

    /// A line of ours that is there for who looks for it.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn aside(&mut self, text: &str) -> io::Result<()> {
        let line = self.style().dim(printable(text)).to_string();
        self.page.detail(&line)
    }

    /// Something is not as it should be.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn warn(&mut self, text: &str) -> io::Result<()> {
        self.end_text()?;
        let line = self.style().warn(printable(text)).to_string();
        self.page.detail(&line)
    }

    /// Something could not be done.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn error(&mut self, text: &str) -> io::Result<()> {
        self.end_text()?;
        let line = self.style().bad(printable(text)).to_string();
        self.page.detail(&line)
    }

    /// Begins something, after an empty line.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn title(&mut self, text: &str) -> io::Result<()> {
        self.page.paragraph()?;
        let title = self.style().bold(printable(text)).to_string();
        self.page.title(&title)
    }

    /// Text that was laid out in lines of at most [`View::room`] columns, safe to be shown.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub(crate) fn lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) -> io::Result<()> {
        lines
            .into_iter()
            .try_for_each(|line| self.page.laid_out(line.as_ref()))
    }

    /// Columns that a line may take.
    #[must_use]
    pub fn room(&self) -> usize {
        self.page.room()
    }

    /// Leaves a line empty, for a person.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn apart(&mut self) -> io::Result<()> {
        if self.surface.is_terminal {
            self.page.paragraph()?;
        }
        self.page.flush()
    }

    /// What a person said before.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn said(&mut self, text: &str) -> io::Result<()> {
        self.page.paragraph()?;
        let text = printable(text);
        for (at, line) in text.lines().enumerate() {
            let quoted = format!("{} {line}", if at == 0 { "›" } else { " " });
            self.page.detail(&quoted)?;
        }
        Ok(())
    }

    /// A whole answer.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn answered(&mut self, text: &str) -> io::Result<()> {
        self.page.paragraph()?;
        let mut markdown = self.new_markdown();
        let lines = markdown.push(text);
        self.lines(lines)?;
        self.lines(markdown.finish())
    }

    /// A question on an open line; the answer is typed behind it.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn ask(&mut self, question: &str) -> io::Result<()> {
        self.doing = None;
        self.page.end_line()?;
        let question = format!("{} ", self.style().warn(question));
        self.page.prose(&question)?;
        self.page.flush()
    }

    /// The person ended the line of the question.
    pub fn was_answered(&mut self) {
        self.page.line_was_ended();
    }
}
