//! A process that is killed while it embeds and keeps memories in order: what was acknowledged is there, and nothing twice.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use harombe_memory::Config;
use harombe_types::SystemClock;

use crate::consolidation::{often, save};
use crate::person::{export, stats, until};
use crate::rig::{Home, Rig, by_meaning};

const HOME: &str = "HAROMBE_TEST_MEMORY_HOME";
const FROM: &str = "HAROMBE_TEST_MEMORY_FROM";
const SAVED: &str = "saved ";

fn busy() -> Config {
    let mut config = Config::default();
    by_meaning(&mut config);
    often(&mut config);
    config
}

/// A service over the files of one that is gone.
async fn over(path: &Path) -> Rig {
    let home = Home {
        path: path.to_owned(),
        directory: None,
        database: None,
    };
    Rig::at(home, busy()).await
}

/// Two that say the same: the second takes the place of the first.
fn pair(number: u64) -> [String; 2] {
    [
        format!("Number {number} is a fact"),
        format!("number {number} is a fact."),
    ]
}

/// Not a test of its own: the process that gets killed. It prints each number whose facts were acknowledged.
#[tokio::test]
#[ignore = "run by what_was_acknowledged_is_there_once_after_kills"]
async fn saves_until_it_is_killed() {
    let (Ok(home), Ok(from)) = (std::env::var(HOME), std::env::var(FROM)) else {
        return;
    };
    let rig = over(Path::new(&home)).await;
    let from: u64 = from.parse().expect("number");
    for number in from.. {
        for text in pair(number) {
            save(&rig, &text).await;
        }
        // one write call a line, so that a kill cannot cut it
        let line = format!("{SAVED}{number}\n");
        std::io::stdout().write_all(line.as_bytes()).expect("line");
    }
}

/// Kills a child after so many lines; what it said until then.
fn run(home: &Path, from: u64, lines: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().expect("program"))
        .args([
            "--exact",
            "killed::saves_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(HOME, home)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("child");
    let output = BufReader::new(child.stdout.take().expect("stdout"));
    let mut saved = output.lines().map_while(Result::ok).filter_map(|line| {
        line.rsplit_once(SAVED)
            .map(|(_, number)| number.parse().expect("number"))
    });
    let mut numbers: Vec<u64> = saved.by_ref().take(lines).collect();
    assert_eq!(numbers.len(), lines);
    child.kill().expect("kill");
    child.wait().expect("end");
    numbers.extend(saved);
    numbers
}

#[tokio::test]
async fn what_was_acknowledged_is_there_once_after_kills() {
    let home = tempfile::tempdir().expect("directory");
    let mut acknowledged = Vec::new();
    for (from, lines) in [(0, 1), (1_000, 25), (2_000, 60), (3_000, 7)] {
        acknowledged.extend(run(home.path(), from, lines));
    }
    let rig = over(home.path()).await;
    // what a kill has left unrecorded is recorded
    rig.clock.advance(Duration::from_secs(11));
    let kept = until(async || {
        let kept = export(&rig, &rig.ann()).await;
        let superseded: BTreeMap<&str, bool> = kept
            .iter()
            .map(|memory| (memory.text.as_str(), !memory.superseded_by.is_empty()))
            .collect();
        let merged = acknowledged.iter().all(|number| {
            let [first, second] = pair(*number);
            superseded.get(first.as_str()) == Some(&true) && superseded.get(second.as_str()) == Some(&false)
        });
        merged.then_some(kept)
    })
    .await;
    let mut texts: Vec<&str> = kept.iter().map(|memory| memory.text.as_str()).collect();
    texts.sort_unstable();
    let all = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), all);
    until(async || {
        let stats = stats(&rig, &rig.ann()).await;
        (stats.waiting_for_embedding == 0 && !stats.embedding_model.is_empty()).then_some(())
    })
    .await;
    rig.service.shutdown(Duration::from_secs(30)).await;
    let folder = home.path().join("vectors");
    let vectors =
        harombe_vectors::open(&rig.config.vectors, &folder, Arc::new(SystemClock)).expect("vectors");
    let collections = vectors.collections().await.expect("collections");
    let [collection] = collections.as_slice() else {
        panic!("{collections:?}");
    };
    vectors.ensure(collection).await.expect("collection");
    assert_eq!(vectors.count(collection).await.expect("count"), all as u64);
    vectors.close().await;
}
