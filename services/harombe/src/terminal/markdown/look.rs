//! How words of a text stand out, in colours and without.

use super::super::style::Style;

/// A set of ways to stand out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look(u8);

impl Look {
    pub(super) const PLAIN: Self = Self(0);
    pub(super) const STRONG: Self = Self(1);
    pub(super) const EMPHASIS: Self = Self(2);
    pub(super) const CODE: Self = Self(4);
    pub(super) const LINK: Self = Self(8);
    pub(super) const STRUCK: Self = Self(16);
    pub(super) const HEADING: Self = Self(32);
    pub(super) const DIM: Self = Self(64);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Parameters of ECMA-48's SGR.
    fn codes(self) -> String {
        let all = [
            (Self::STRONG, "1"),
            (Self::DIM, "2"),
            (Self::EMPHASIS, "3"),
            (Self::LINK, "4"),
            (Self::STRUCK, "9"),
            (Self::CODE, "36"),
            (Self::HEADING, "1;36"),
        ];
        let codes = all.iter().filter(|(look, _)| self.has(*look));
        codes.map(|(_, code)| *code).collect::<Vec<_>>().join(";")
    }

    /// Appends a text that looks so.
    pub(super) fn paint(self, style: Style, text: &str, to: &mut String) {
        if style == Style::Plain || self == Self::PLAIN || text.is_empty() {
            to.push_str(text);
        } else {
            to.push_str(&format!("\u{1b}[{}m{text}\u{1b}[0m", self.codes()));
        }
    }

    /// What stands around the words when there are no colours to tell.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::STRONG => "**",
            Self::EMPHASIS => "*",
            Self::CODE => "`",
            Self::STRUCK => "~~",
            _ => "",
        }
    }
}
