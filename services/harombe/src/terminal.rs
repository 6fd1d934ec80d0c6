//! What a person sees and answers: every line about a run is made from one of its events.

mod ago;
mod editor;
mod hidden;
mod history;
mod keyboard;
mod lines;
mod live;
mod markdown;
mod output;
mod page;
mod prompt;
mod rows;
mod screen;
mod streaming;
mod style;
mod text;
mod view;
mod width;
mod words;

pub(crate) use ago::ago;
pub use editor::{Completions, Editor};
pub use hidden::{Typed, read_hidden};
pub use history::History;
pub use keyboard::Keyboard;
pub use lines::{Entered, Lines};
pub use prompt::{Answer, Answers, Prompt};
pub(crate) use rows::rows;
pub use screen::Screen;
pub use style::Style;
pub(crate) use text::{model_name, shortened};
pub use view::{Call, Extent, Surface, View};
