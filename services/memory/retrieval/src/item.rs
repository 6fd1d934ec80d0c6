//! What is searched: one memory of one owner, as far as ranking needs to know it.

use uuid::Uuid;

/// What sort of memory an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message of a session, or a piece of a long one.
    Turn,
    /// Something that was saved on purpose.
    Fact,
    /// What a session was about.
    Summary,
}

/// One memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub id: Uuid,
    pub text: String,
    /// Who said it, as a name; may be empty.
    pub speaker: String,
    pub session: Option<Uuid>,
    /// Position in its session: what stands before and after it is its context.
    pub ordinal: u32,
    /// When it was said, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    pub kind: Kind,
    /// How far its words may be trusted; only compared with a filter's.
    pub label: u8,
    pub agent: String,
    /// From 0 to 1; 0.5 unless somebody said otherwise. What is not a number counts as 0.5.
    pub importance: f32,
    /// Another memory has taken its place.
    pub superseded: bool,
}

impl Item {
    /// Its importance as it counts.
    pub(crate) fn usual_importance(&self) -> f32 {
        if self.importance.is_nan() {
            0.5
        } else {
            self.importance.clamp(0.0, 1.0)
        }
    }
}

/// Narrows a search. What is empty or absent does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub agent: Option<String>,
    /// Any of these.
    pub sessions: Vec<Uuid>,
    /// Any of these.
    pub kinds: Vec<Kind>,
    /// Any of these.
    pub labels: Vec<u8>,
    /// At this time or later.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// Also what has been superseded.
    pub include_superseded: bool,
}
