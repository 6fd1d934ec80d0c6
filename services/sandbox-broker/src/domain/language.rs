//! The languages a program may be written in, and the interpreters that this host has for them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a program is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Python 3.
    Python,
    /// JavaScript on Node.js.
    JavaScript,
    /// A shell script, for bash where the host has it, else for sh.
    Shell,
}

/// A word that names no language.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("language must be python, javascript or shell")]
pub struct UnknownLanguage;

impl Language {
    /// Every language, in the order in which they are listed to people.
    pub const ALL: [Self; 3] = [Self::Python, Self::JavaScript, Self::Shell];

    /// The word used in calls and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::Shell => "shell",
        }
    }

    /// Where the interpreter is looked for, in this order.
    const fn interpreters(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["/usr/bin/python3", "/usr/local/bin/python3"],
            Self::JavaScript => &["/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs"],
            Self::Shell => &["/bin/bash", "/bin/sh"],
        }
    }

    /// Where the program's text lies inside the sandbox: the name shows up in tracebacks.
    #[must_use]
    pub const fn program_path(self) -> &'static str {
        match self {
            Self::Python => "/run/harombe/main.py",
            Self::JavaScript => "/run/harombe/main.js",
            Self::Shell => "/run/harombe/main.sh",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(word: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == word)
            .ok_or(UnknownLanguage)
    }
}

/// The interpreters that exist on this host and can be seen from inside a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interpreters(BTreeMap<Language, PathBuf>);

impl Interpreters {
    /// Looks for every language. `visible` are the host's directories that sandboxes see: an interpreter
    /// that lies elsewhere in the end, as a symlink into somebody's home does, does not count.
    #[must_use]
    pub fn detect(visible: &[PathBuf]) -> Self {
        let found = |language: Language| {
            let path = language.interpreters().iter().map(Path::new).find(|path| {
                path.canonicalize().is_ok_and(|real| {
                    real.is_file() && visible.iter().any(|directory| real.starts_with(directory))
                })
            })?;
            Some((language, path.to_owned()))
        };
        Self(Language::ALL.into_iter().filter_map(found).collect())
    }

    /// The interpreter's path, the same on the host and inside.
    #[must_use]
    pub fn path(&self, language: Language) -> Option<&Path> {
        self.0.get(&language).map(PathBuf::as_path)
    }

    /// The languages that programs can be run in.
    pub fn languages(&self) -> impl Iterator<Item = Language> + '_ {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_one_word() {
        for language in Language::ALL {
            assert_eq!(language.to_string().parse(), Ok(language));
        }
        for word in ["", "Python", "python ", "bash", "ruby"] {
            assert_eq!(word.parse::<Language>(), Err(UnknownLanguage), "{word:?}");
        }
    }

    #[test]
    fn an_interpreter_outside_the_visible_directories_does_not_count() {
        let elsewhere = [PathBuf::from("/opt")];
        assert_eq!(Interpreters::detect(&elsewhere), Interpreters::default());
        let usr = [PathBuf::from("/usr"), PathBuf::from("/bin")];
        assert!(Interpreters::detect(&usr).path(Language::Shell).is_some());
    }
}
