//! What a score is made of: each feature with its weight, where that comes from, and the constants around them.
//!
//! A score is the sum of weight × value over the features; nothing is normalised per question. The weights of what is
//! learnt are those that a listwise softmax regression finds on LoCoMo, rounded to one digit. Learnt on all conversations
//! but one and tested on that one, for each of five, they recall 84.6 % of the evidence in ten hits; learnt on any one
//! and tested on the other four, 83 to 86 %. docs/memory.md has what each feature is worth.

use crate::bm25::{Field, Window};

/// BM25 over an item's words and those beside it. The optimum is wide: k1 from 0.6 to 1.2 with b from 0.4 to 0.75 makes
/// no difference beyond 0.2 points.
pub(crate) const WORDS_FIELD: Field = Field {
    k1: 0.9,
    b: 0.6,
    window: Window {
        own: 10,
        before: 7,
        after: 4,
        two_before: 3,
        two_after: 2,
    },
};

/// How many items before and after one in its session are nearby. From 3 to 8 makes no difference beyond 0.1 points.
pub(crate) const REACH: u32 = 5;

/// Days after which a memory's recency is worth half.
pub(crate) const HALF_LIFE_DAYS: f64 = 90.0;

/// Words in common, by the words of either, from which two items begin to repeat each other.
pub(crate) const ALIKE: f64 = 0.6;

/// What speaks for an item, or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// BM25 of the question's words, from 0 to about 30: in the item, and for less in the two items before and after it.
    Words,
    /// The cosine of the question and the item.
    Meaning,
    /// The best cosine of the item and the five before and after it in its session: what was being talked about.
    Nearby,
    /// 1 when the person that the question is about said it, -1 when somebody else did.
    Speaker,
    /// How close its day is to the time that the question names, from 0 to 1.
    Time,
    /// 1 when the question asks for a time and the item tells one.
    TellsTime,
    /// 1 when the item is a question itself: it is seldom an answer.
    Asks,
    /// Importance less 0.5: from -0.5 to 0.5. A prior, not learnt: nothing in LoCoMo is more important than the rest.
    Importance,
    /// 1 for what was said now, half of it after 90 days, half of that after as many again. A prior, not learnt: small
    /// enough to decide only between items that are nearly equal.
    Recency,
    /// How much of a better item of the answer it repeats: from 0 for 60 % of their words in common to 1 for all of them.
    Repetition,
}

impl Feature {
    pub const ALL: [Self; 10] = [
        Self::Words,
        Self::Meaning,
        Self::Nearby,
        Self::Speaker,
        Self::Time,
        Self::TellsTime,
        Self::Asks,
        Self::Importance,
        Self::Recency,
        Self::Repetition,
    ];

    /// Its name in explanations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Meaning => "meaning",
            Self::Nearby => "nearby",
            Self::Speaker => "speaker",
            Self::Time => "time",
            Self::TellsTime => "tells_time",
            Self::Asks => "asks",
            Self::Importance => "importance",
            Self::Recency => "recency",
            Self::Repetition => "repetition",
        }
    }

    /// What one unit of its value adds to a score.
    #[must_use]
    pub const fn weight(self) -> f64 {
        match self {
            Self::Words => 0.4,
            Self::Meaning => 5.0,
            Self::Nearby => 6.0,
            Self::Speaker | Self::Importance => 1.0,
            Self::Time => 5.0,
            Self::TellsTime => 2.0,
            Self::Asks => -1.0,
            Self::Recency => 0.2,
            Self::Repetition => -4.0,
        }
    }
}

/// A ranking with less than everything: for measuring what each part is worth.
#[derive(Clone, Copy, Debug)]
pub struct Ablation<'a> {
    /// Features that count for nothing.
    pub without: &'a [Feature],
    /// Whether words beside an item count for it.
    pub neighbours: bool,
}

impl Ablation<'_> {
    /// With all there is.
    pub const NONE: Self = Self {
        without: &[],
        neighbours: true,
    };

    pub(crate) fn field(&self) -> Field {
        let window = if self.neighbours {
            WORDS_FIELD.window
        } else {
            Window::OWN
        };
        Field {
            window,
            ..WORDS_FIELD
        }
    }

    pub(crate) fn leaves_out(&self, feature: Feature) -> bool {
        self.without.contains(&feature)
    }
}
