//! How far a pull is: one line that moves on a terminal, else a line for each file.

use std::io::{IsTerminal as _, Write as _};

/// Cells of the bar.
const CELLS: u64 = 24;

/// The state of one file, told on standard error.
pub(super) struct Progress {
    name: String,
    total: u64,
    /// What the moving line shows, in hundredths; none when nothing moves.
    shown: Option<u64>,
}

impl Progress {
    pub(super) fn of(name: &str, total: u64) -> Self {
        let moves = std::io::stderr().is_terminal();
        Self {
            name: name.to_owned(),
            total,
            shown: moves.then_some(u64::MAX),
        }
    }

    /// There are so many bytes of it.
    pub(super) fn at(&mut self, bytes: u64) {
        let hundredths = (bytes.min(self.total) * 100)
            .checked_div(self.total)
            .unwrap_or(100);
        if self.shown.is_some_and(|shown| shown != hundredths) {
            self.shown = Some(hundredths);
            // whoever closed it does not want to know
            let _ = write!(
                std::io::stderr(),
                "\r{}",
                line(&self.name, bytes, self.total, hundredths)
            );
        }
    }

    /// It is complete, and the one that was published.
    pub(super) fn done(self) {
        let text = format!("{}: {}, as published", self.name, megabytes(self.total));
        let text = match self.shown {
            // over what the moving line left
            Some(_) => format!("\r{text:<72}"),
            None => text,
        };
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn line(name: &str, bytes: u64, total: u64, hundredths: u64) -> String {
    let full = usize::try_from(hundredths * CELLS / 100).unwrap_or_default();
    let empty = usize::try_from(CELLS).unwrap_or_default().saturating_sub(full);
    format!(
        "{name} [{}{}] {} of {}",
        "#".repeat(full),
        " ".repeat(empty),
        megabytes(bytes),
        megabytes(total)
    )
}

/// A size for a person.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_eighty_columns() {
        let text = line("model.safetensors", 45_434_188, 90_868_376, 50);
        assert_eq!(
            text,
            "model.safetensors [############            ] 45.4 MB of 90.9 MB"
        );
        assert!(text.len() < 72);
        assert_eq!(megabytes(0), "0.0 MB");
        assert_eq!(megabytes(466_247), "0.5 MB");
    }
}
