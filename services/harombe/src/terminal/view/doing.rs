//! What a run is busy with, in a line that moves.

use std::time::Duration;

use super::super::text::printable;
use super::super::width::cut;
use super::Surface;

#[derive(Debug)]
pub(super) struct Doing {
    what: String,
    since: Duration,
}

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How long each of them stands.
const FRAME: Duration = Duration::from_millis(120);

impl Doing {
    pub(super) fn new(what: &str, since: Duration) -> Self {
        Self {
            what: printable(what).replace('\n', " "),
            since,
        }
    }

    /// Shorter than the terminal is wide.
    pub(super) fn line(&self, elapsed: Duration, surface: Surface) -> String {
        let frame = usize::try_from(elapsed.as_millis() / FRAME.as_millis()).unwrap_or_default();
        let frame = FRAMES.get(frame % FRAMES.len()).copied().unwrap_or_default();
        let seconds = elapsed.saturating_sub(self.since).as_secs();
        let text = match seconds {
            0 => self.what.clone(),
            seconds => format!("{} · {seconds} s", self.what),
        };
        let room = surface.columns.unwrap_or(80).saturating_sub(3);
        let style = surface.style;
        format!("{} {}", style.accent(frame), style.dim(cut(&text, room)))
    }
}
