//! kill -9 in the middle of writing: whatever was acknowledged is there after a restart.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use harombe_sql::{Limits, Units};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::{add, names, open};

const DIRECTORY: &str = "HAROMBE_SQL_TEST_DIRECTORY";
const ACKNOWLEDGED: &str = "acknowledged ";

/// Not a test of its own: the process that the test below starts and kills.
#[tokio::test]
#[ignore = "started by a_killed_writer_loses_nothing_acknowledged"]
async fn writes_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let (_database, writer) = open(&PathBuf::from(directory).join("notes.db")).await;
    let units = Units::start(writer, Limits::default());
    let callers: Vec<_> = (0..16)
        .map(|caller: u32| {
            let units = units.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    let name = format!("{}-{caller}-{number}", std::process::id());
                    units.run(&caller, add(name.clone())).await.unwrap();
                    // one write call a line, so that a kill cannot cut two lines into each other
                    let line = format!("{ACKNOWLEDGED}{name}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for lines_before_kill in [1, 40, 333] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "crash::writes_until_killed",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while let Some(line) = lines.next_line().await.unwrap() {
            // the test harness prints its own words before the first line
            let Some((_, name)) = line.split_once(ACKNOWLEDGED) else {
                continue;
            };
            acknowledged.push(name.to_owned());
            seen += 1;
            if seen == lines_before_kill {
                child.start_kill().unwrap();
            }
        }
        assert!(seen >= lines_before_kill, "the child ended by itself");
        assert!(!child.wait().await.unwrap().success());
    }
    let (database, _writer) = open(&directory.path().join("notes.db")).await;
    let present: std::collections::HashSet<_> = names(&database).await.into_iter().collect();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|name| !present.contains(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged but gone: {lost:?}");
    database.check().await.unwrap();
}
