//! Lines that are edited as they are typed, with what was typed before and what could be meant.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Context, Event, EventContext,
    EventHandler, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use tokio::sync::mpsc;

use super::history::{History, is_kept};
use super::lines::Entered;
use super::style::Style;

/// What a line may become: whole lines, of which the end is filled in.
#[derive(Clone, Debug, Default)]
pub struct Completions(Arc<Mutex<Vec<String>>>);

impl Completions {
    /// Takes the place of what there was.
    pub fn set(&self, lines: Vec<String>) {
        *self.0.lock() = lines;
    }

    /// What a line that begins so may become, from its last word on.
    fn of(&self, line: &str) -> (usize, Vec<String>) {
        let word = line.rfind(' ').map_or(0, |at| at + 1);
        let lines = self.0.lock();
        let fitting = lines.iter().filter(|known| known.starts_with(line));
        let mut words: Vec<_> = fitting
            .filter_map(|known| known.get(word..))
            .map(str::to_owned)
            .collect();
        words.dedup();
        (word, words)
    }
}

/// Asks for lines on the terminal, by a thread of its own.
#[derive(Debug)]
pub struct Editor {
    ask: SyncSender<String>,
    entered: mpsc::Receiver<io::Result<Entered>>,
    is_reading: bool,
}

/// Has a terminal paste as it did before.
const NO_BRACKETED_PASTE: &[u8] = b"\x1b[?2004l";

impl Editor {
    /// Begins with what was typed before; what is typed now is added to it.
    #[must_use]
    pub fn start(history: Option<History>, style: Style, completions: Completions) -> Self {
        let (sender, entered) = mpsc::channel(1);
        let (ask, asked) = std::sync::mpsc::sync_channel::<String>(1);
        // The thread ends when nobody asks any more, after the line that it may be reading, or with the process.
        std::thread::spawn(move || {
            let mut editor = match editor(history.as_ref(), style, completions) {
                Ok(editor) => editor,
                Err(error) => {
                    let _ = sender.blocking_send(Err(fault(error)));
                    return;
                }
            };
            while let Ok(prompt) = asked.recv() {
                let coloured = style.accent(&prompt).to_string();
                let entered = read(&mut editor, history.as_ref(), &(prompt, coloured));
                if sender.blocking_send(entered).is_err() {
                    break;
                }
            }
        });
        Self {
            ask,
            entered,
            is_reading: false,
        }
    }

    /// The next line that is typed.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub async fn line(&mut self, prompt: &str) -> io::Result<Entered> {
        self.is_reading = true;
        // When it is full, the thread is about to ask anyway.
        let _ = self.ask.try_send(prompt.to_owned());
        let entered = self.entered.recv().await.unwrap_or(Ok(Entered::End));
        self.is_reading = false;
        entered
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if self.is_reading {
            // The thread will never come to it; a terminal that is gone needs nothing.
            let _ = io::stdout().write_all(NO_BRACKETED_PASTE);
            let _ = io::stdout().flush();
        }
    }
}

type Lined = rustyline::Editor<Help, MemHistory>;

fn editor(history: Option<&History>, style: Style, completions: Completions) -> rustyline::Result<Lined> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(false)
        .history_ignore_space(true)
        .color_mode(match style {
            Style::Plain => ColorMode::Disabled,
            Style::Coloured => ColorMode::Enabled,
        })
        .bracketed_paste(true)
        .build();
    let past = MemHistory::with_config(&config);
    let mut editor = Lined::with_history(config, past)?;
    let gone_on = Arc::new(AtomicUsize::new(0));
    editor.set_helper(Some(Help {
        completions,
        gone_on: Arc::clone(&gone_on),
    }));
    let enter = Event::from(KeyEvent(KeyCode::Enter, Modifiers::NONE));
    editor.bind_sequence(enter, EventHandler::Conditional(Box::new(GoOn(gone_on))));
    let alt_enter = Event::from(KeyEvent(KeyCode::Enter, Modifiers::ALT));
    editor.bind_sequence(alt_enter, EventHandler::Simple(Cmd::Newline));
    // Without it there is still a conversation.
    for line in history
        .map(History::load)
        .and_then(Result::ok)
        .unwrap_or_default()
    {
        editor.add_history_entry(line)?;
    }
    Ok(editor)
}

fn read(editor: &mut Lined, history: Option<&History>, prompt: &(String, String)) -> io::Result<Entered> {
    let line = editor.readline(prompt);
    let gone_on = editor
        .helper()
        .map_or(0, |help| help.gone_on.swap(0, Ordering::Relaxed));
    match line {
        Ok(line) => {
            let line = joined(line, gone_on);
            if is_kept(&line) {
                editor.add_history_entry(&line).map_err(fault)?;
            }
            if let Some(history) = history {
                // A disk that is full keeps nobody from talking.
                let _ = history.add(&line);
            }
            Ok(Entered::Text(line))
        }
        Err(ReadlineError::Interrupted) => Ok(Entered::Interrupted),
        Err(ReadlineError::Eof) => Ok(Entered::End),
        Err(error) => Err(fault(error)),
    }
}

fn fault(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// Enter after a backslash: the text goes on below. Counts how often that was.
struct GoOn(Arc<AtomicUsize>);

/// What such lines are of a text. Where code with backslashes of its own was pasted between them, they stay as they are.
fn joined(text: String, gone_on: usize) -> String {
    if gone_on > 0 && text.matches("\\\n").count() == gone_on {
        text.replace("\\\n", "\n")
    } else {
        text
    }
}

impl ConditionalEventHandler for GoOn {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let goes_on = context.line().ends_with('\\') && context.pos() == context.line().len();
        goes_on.then(|| {
            self.0.fetch_add(1, Ordering::Relaxed);
            Cmd::Newline
        })
    }
}

struct Help {
    completions: Completions,
    gone_on: Arc<AtomicUsize>,
}

impl Helper for Help {}
impl Hinter for Help {
    type Hint = String;
}
impl Validator for Help {}

impl Highlighter for Help {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Completer for Help {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or_default();
        Ok(if typed.starts_with('/') {
            self.completions.of(typed)
        } else {
            (pos, Vec::new())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backslashes_that_were_typed_to_go_on_are_taken_out() {
        assert_eq!(joined("a\\\nb".to_owned(), 1), "a\nb");
        assert_eq!(joined("a\\\nb".to_owned(), 0), "a\\\nb");
        assert_eq!(joined("a\\\nb\\\nc".to_owned(), 1), "a\\\nb\\\nc");
    }

    #[test]
    fn commands_and_what_stands_behind_them_are_filled_in() {
        let completions = Completions::default();
        let lines = ["/help", "/history", "/load 0192-a", "/load 0192-b", "/load 07"];
        completions.set(lines.map(str::to_owned).to_vec());
        let check = |line: &str, at: usize, expected: &[&str]| {
            let (from, words) = completions.of(line);
            assert_eq!(
                (from, words),
                (at, expected.iter().map(|word| (*word).to_owned()).collect()),
                "{line}"
            );
        };
        check("/h", 0, &["/help", "/history"]);
        check("/load 01", 6, &["0192-a", "0192-b"]);
        check("/load x", 6, &[]);
    }
}
