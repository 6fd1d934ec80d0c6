//! What was typed before, kept in a file for its owner only.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file with a JSON string a line, the newest last.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
}

/// Lines that are kept.
const MOST: usize = 1_000;
/// A longer line is not kept, in bytes.
const LONGEST: usize = 4 * 1024;
/// Of a file that somebody else made larger, no more is read.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

impl History {
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// What is kept, oldest first. Lets go of what is more than that.
    ///
    /// # Errors
    /// When the file is there and cannot be read or written.
    pub fn load(&self) -> io::Result<Vec<String>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.set_permissions(Permissions::from_mode(0o600))?;
        let mut kept = Vec::new();
        let mut lines = 0;
        for line in BufReader::new(file.take(LARGEST_FILE)).split(b'\n') {
            lines += 1;
            // A line that was cut off, or is not ours, is worth no complaint.
            kept.extend(serde_json::from_slice::<String>(&line?));
        }
        let surplus = kept.len().saturating_sub(MOST);
        kept.drain(..surplus);
        if lines > 2 * MOST {
            self.replace(&kept)?;
        }
        Ok(kept)
    }

    /// Keeps a line, unless it begins with a space.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, line: &str) -> io::Result<()> {
        if !is_kept(line) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        file.write_all(format!("{}\n", serde_json::to_string(line)?).as_bytes())
    }

    fn replace(&self, lines: &[String]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // Made for its owner only.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        for line in lines {
            writeln!(file, "{}", serde_json::to_string(line)?)?;
        }
        file.persist(&self.path)?;
        Ok(())
    }
}

/// Whether a line is one to come back to.
pub(super) fn is_kept(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(' ') && line.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_for_their_owner_except_those_that_begin_with_a_space() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data/chat_history");
        let history = History::at(&path);
        assert!(history.load().unwrap().is_empty());
        for line in ["one", " secret", "two\nlines", "", "\\"] {
            history.add(line).unwrap();
        }
        history.add(&"x".repeat(LONGEST + 1)).unwrap();
        assert_eq!(history.load().unwrap(), ["one", "two\nlines", "\\"]);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_file_does_not_grow_for_ever_and_may_be_damaged() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("chat_history");
        let mut text: String = (0..2 * MOST + 10).map(|at| format!("\"{at}\"\n")).collect();
        text.push_str("\"cut o");
        std::fs::write(&path, text).unwrap();
        let history = History::at(&path);
        let kept = history.load().unwrap();
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept.last().unwrap(), &(2 * MOST + 9).to_string());
        assert_eq!(history.load().unwrap(), kept);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), MOST);
    }
}
