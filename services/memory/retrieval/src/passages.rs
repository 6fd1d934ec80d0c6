//! What is embedded: of a memory, so that it is found by its meaning, and of a question.

use uuid::Uuid;

use crate::index::Index;
use crate::participants::Participants;

/// The names of the texts that are embedded of each memory, in the order of [`Passages::texts`].
pub const VIEWS: [&str; 1] = ["turn"];

/// The searches of the vectors that a question takes.
pub const SEARCHES: [Search; 1] = [Search { query: 0, view: 0 }];

/// Which text of the question is looked for among which texts of the memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Which of [`Index::query_views`].
    pub query: usize,
    /// Which of [`VIEWS`].
    pub view: usize,
}

/// What is embedded for one memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passages {
    /// One for each of [`VIEWS`].
    pub texts: Vec<String>,
}

impl Index {
    /// What is embedded for a memory, which depends on nothing but itself; none when it is not there.
    #[must_use]
    pub fn passages(&self, id: Uuid) -> Option<Passages> {
        let record = self.record(self.slot(id)?)?;
        let speaker = self.speaker_name(record.speaker);
        let text = if speaker.is_empty() {
            record.text.to_string()
        } else {
            format!("{speaker}: {}", record.text)
        };
        Some(Passages { texts: vec![text] })
    }

    /// What is embedded for a question.
    #[must_use]
    pub fn query_views(&self, text: &str) -> Vec<String> {
        vec![Participants::of(self).as_if_asked_by_them(text)]
    }
}
