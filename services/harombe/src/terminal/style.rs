//! Colours where they help, and none where the output is not a terminal or `NO_COLOR` is set.

use std::fmt;
use std::io::IsTerminal as _;

/// Whether to write colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

impl Style {
    /// The style for standard output, see <https://no-color.org>.
    #[must_use]
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !refused && !is_dumb {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    /// Columns of standard output, when it is a terminal that says so.
    pub(crate) fn columns_of_stdout() -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }

    /// Whether standard output is a terminal on which lines can be taken back: neither plain nor dumb.
    pub(crate) fn can_erase_on_stdout() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self::of_stdout() == Self::Coloured && !is_dumb
    }

    pub(crate) fn bold<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted {
            text,
            code: self.code("1"),
        }
    }

    pub(crate) fn dim<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted {
            text,
            code: self.code("2"),
        }
    }

    pub(crate) fn accent<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted {
            text,
            code: self.code("36"),
        }
    }

    pub(crate) fn good<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted {
            text,
            code: self.code("32"),
        }
    }

    pub(crate) fn bad<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted {
            text,
            code: self.code("31"),
        }
    }

    pub(crate) fn warn<T: fmt::Display>(self, text: T) -> Painted<T> {
        Painted {
            text,
            code: self.code("33"),
        }
    }

    const fn code(self, code: &'static str) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Coloured => Some(code),
        }
    }
}

pub(crate) struct Painted<T> {
    text: T,
    code: Option<&'static str>,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\u{1b}[{code}m{}\u{1b}[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}
