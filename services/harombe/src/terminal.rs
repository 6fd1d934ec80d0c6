//! What a person sees and answers: every line about a run is made from one of its events.

mod prompt;
mod screen;
mod style;

pub use prompt::{Answers, Prompt};
pub use screen::Screen;
pub use style::Style;
