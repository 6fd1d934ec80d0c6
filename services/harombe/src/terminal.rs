//! What a person sees and answers: every line about a run is made from one of its events.

mod hidden;
mod page;
mod prompt;
mod screen;
mod streaming;
mod style;
mod text;

pub use hidden::{Typed, read_hidden};
pub use prompt::{Answer, Answers, Prompt};
pub use screen::Screen;
pub use style::Style;
