//! What is embedded: of a memory, so that it is found by its meaning, and of a question.

use crate::index::Index;
use crate::item::Item;
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

impl Passages {
    /// What is embedded for a memory, which depends on nothing but itself.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        let text = if item.speaker.is_empty() {
            item.text.clone()
        } else {
            format!("{}: {}", item.speaker, item.text)
        };
        Self { texts: vec![text] }
    }
}

impl Index {
    /// What is embedded for a question.
    #[must_use]
    pub fn query_views(&self, text: &str) -> Vec<String> {
        vec![Participants::of(self).as_if_asked_by_them(text)]
    }
}
