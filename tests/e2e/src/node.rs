//! A process of its own, started by a test and ended with it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running `harombe-e2e-node`. It ends when its standard input closes, at the latest with the test's process.
pub struct Node {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it said when it was ready.
    ready: String,
}

impl Node {
    /// The audit service with those keys and that directory, at that address, which is the test's own.
    pub async fn audit(program: &str, keys: &Path, data: &Path, place: Ipv4Addr) -> Self {
        let place = place.to_string();
        let mut command = Command::new(program);
        command.arg("audit").arg(keys).arg(data).arg(place);
        Self::spawn(&mut command).await
    }

    /// The whole system on that directory, with what `options` say.
    pub async fn up(program: &str, data: &Path, script: &Path, options: &[&str]) -> Self {
        Self::spawn(
            Command::new(program)
                .arg("up")
                .arg(data)
                .arg(script)
                .args(options),
        )
        .await
    }

    #[expect(clippy::expect_used, reason = "a test's process: without it there is no test")]
    pub(crate) async fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the node program starts");
        let stdout = child.stdout.take().expect("its output is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines
            .next_line()
            .await
            .expect("its output can be read")
            .expect("it becomes ready");
        Self { child, lines, ready }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When it said something else.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's process: without it there is no test")]
    pub fn uri(&self) -> http::Uri {
        self.ready.parse().expect("an address")
    }

    /// Its process id, while it lives.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL: it says and writes nothing more.
    pub async fn kill(mut self) {
        // It may have killed itself already.
        let _ = self.child.kill().await;
    }

    /// Waits until it is dead by its own doing; returns the signal that ended it, if one did.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn died(&mut self) -> std::io::Result<Option<i32>> {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.wait().await.map(|status| status.signal())
    }

    /// Lets it end in order; returns what it said last.
    pub async fn stop(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let mut said = Vec::new();
        while let Ok(Some(line)) = self.lines.next_line().await {
            said.push(line);
        }
        let _ = self.child.wait().await;
        said
    }
}
