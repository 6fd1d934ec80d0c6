//! Starts the program, each time on a directory of the test's own.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A home directory with nothing in it, and the program in it.
pub(crate) struct Home(TempDir);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("hb").tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The data directory of the commands here.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file; answers its path as text.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The program with nothing of this machine's settings.
    pub(crate) fn bare(&self) -> Command {
        self.tool(env!("CARGO_BIN_EXE_harombe"))
    }

    /// Another program with the same surroundings.
    pub(crate) fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("HAROMBE_");
            if ours || name == "XDG_DATA_HOME" || name == "NO_COLOR" {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.0.path()).current_dir(self.0.path());
        command.stdin(Stdio::null());
        command
    }

    /// The program on the data directory.
    pub(crate) fn harombe<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.bare();
        command.arg("--data").arg(self.data()).args(args);
        command
    }

    /// Runs the program on the data directory to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(&self.harombe(args).output().unwrap())
    }

    /// Like [`Home::run`], with something on standard input.
    pub(crate) fn run_with_input<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ran {
        let mut command = self.harombe(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
        // A program that wants less than it is given closes its end.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let ran = Ran::of(&child.wait_with_output().unwrap());
        writer.join().unwrap();
        ran
    }

    /// `harombe up`, ready.
    pub(crate) fn up<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Live {
        let mut command = self.harombe(["up"]);
        command.args(args);
        let mut live = Live::start(command);
        live.wait_for("Ctrl-C ends it");
        live
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It went well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It was refused: exit code 1, all of these words on standard error, and nothing that only its authors understand.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(self.err.starts_with("harombe: "), "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {self:#?}");
        }
        for inside in ["panicked", "src/", ".rs:", "Some(", "Err(", "RUST_BACKTRACE"] {
            assert!(!self.err.contains(inside), "{inside:?} is told: {self:#?}");
        }
        self
    }
}

/// A program that is running and whose output is read as it comes.
pub(crate) struct Live {
    child: Child,
    stdin: Option<ChildStdin>,
    out: BufReader<std::process::ChildStdout>,
    /// Everything that was read.
    pub(crate) seen: String,
    bytes: Vec<u8>,
    /// Bytes of it up to the end of what was waited for last.
    looked: usize,
}

impl Live {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            out: BufReader::new(child.stdout.take().unwrap()),
            child,
            seen: String::new(),
            bytes: Vec::new(),
            looked: 0,
        }
    }

    /// Reads until `text` has come after what was waited for last; answers the line that it is in, as far as it has come.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen[self.looked..].find(text) {
                let at = self.looked + at;
                self.looked = at + text.len();
                let start = self.seen[..at].rfind('\n').map_or(0, |end| end + 1);
                return self.seen[start..].lines().next().unwrap().to_owned();
            }
            let available = self.out.fill_buf().unwrap();
            assert!(!available.is_empty(), "{text:?} never came: {}", self.seen);
            // A question has no line end: what has come is looked at at once.
            let len = available.len();
            self.bytes.extend_from_slice(available);
            // A character may have come in half: what lies before it stays where it was found.
            self.seen = String::from_utf8_lossy(&self.bytes).into_owned();
            self.out.consume(len);
        }
    }

    /// Types something.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads to the end of the output and waits.
    pub(crate) fn end(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        self.out.read_to_end(&mut self.bytes).unwrap();
        self.seen = String::from_utf8_lossy(&self.bytes).into_owned();
        self.child.wait().unwrap()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A test that failed leaves nothing running; one that passed has waited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The word after `before` in `text`.
#[track_caller]
pub(crate) fn word_after(text: &str, before: &str) -> String {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Whether a directory has nothing in it, or is not there.
pub(crate) fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}
