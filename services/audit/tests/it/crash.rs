//! Killed in the middle of appending: what was acknowledged is there after a restart, and the log verifies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use harombe_audit::verify::verify;
use harombe_types::ServiceName;
use tempfile::TempDir;

use super::{Bench, event};

const ACKNOWLEDGED: &str = "acknowledged ";
const DIRECTORY: &str = "HAROMBE_TEST_AUDIT_DIRECTORY";

/// Not a test of its own: the process that gets killed. It prints each index that was acknowledged.
#[tokio::test]
#[ignore = "run by a_killed_log_keeps_what_it_acknowledged"]
async fn append_until_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let bench = Arc::new(Bench::under(directory.as_ref()).await);
    for _ in 0..8 {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            loop {
                let index = bench.append(ServiceName::Hitl, event("local")).await.unwrap();
                // One write call a line, so that a kill cannot cut it.
                let line = format!("{ACKNOWLEDGED}{index}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_log_keeps_what_it_acknowledged() {
    let directory = TempDir::new().unwrap();
    for lines in [1, 40, 300] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::append_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let indexes = output.lines().map_while(Result::ok).filter_map(|line| {
            line.rsplit_once(ACKNOWLEDGED)
                .map(|(_, index)| index.parse::<u64>().unwrap())
        });
        let acknowledged = indexes.take(lines).max().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let found = verify(&directory.path().join("audit"), None).await.unwrap();
        assert!(
            found.entries > acknowledged,
            "{} entries, {acknowledged} acknowledged",
            found.entries
        );
        let bench = Bench::under(directory.path()).await;
        assert_eq!(
            bench.append(ServiceName::Hitl, event("local")).await.unwrap(),
            found.entries
        );
        bench.service.shutdown(Duration::from_secs(5)).await;
    }
    verify(&directory.path().join("audit"), None).await.unwrap();
}
