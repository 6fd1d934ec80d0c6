//! Edge in a process that is killed: what was acknowledged is there.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use harombe_vectors::{Ensured, Vectors as _};
use uuid::Uuid;

use crate::edge::{model, open, points};

const FOLDER: &str = "HAROMBE_TEST_VECTORS_FOLDER";
const BATCH: u128 = 20;

/// Started by the tests below: writes until it is killed, and says what was acknowledged.
#[tokio::test]
#[ignore = "a program that another test starts"]
async fn writes_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let edge = open(Path::new(&folder));
    edge.ensure(&model()).await.unwrap();
    for batch in 0.. {
        let from = batch * BATCH;
        edge.upsert(&model(), points(from, from + BATCH)).await.unwrap();
        edge.delete(&model(), "a", vec![Uuid::from_u128(from)])
            .await
            .unwrap();
        say(batch);
        // With the index being built at the end, too.
        if batch == 40 {
            let _ = edge.index(&model()).await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "how it tells its parent")]
fn say(batch: u128) {
    println!("acknowledged {batch}");
}

/// Kills the child after a number of batches; the last that was acknowledged.
fn run(folder: &Path, batches: u128) -> u128 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "killed::writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = |line: String| line.strip_prefix("acknowledged ")?.parse::<u128>().ok();
    let mut last = None;
    while last.is_none_or(|last| last + 1 < batches) {
        last = said(lines.next().unwrap().unwrap()).or(last);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it was killed and was not read yet counts as well.
    let rest = lines.map_while(Result::ok).filter_map(said).last();
    rest.or(last).unwrap()
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    for batches in [1, 7, 41, 60] {
        let folder = tempfile::tempdir().unwrap();
        let last = run(folder.path(), batches);
        let edge = open(folder.path());
        assert_eq!(edge.ensure(&model()).await.unwrap(), Ensured::Existing);
        let mut listed = Vec::new();
        while let Some(page) = Some(edge.ids(&model(), listed.last().copied(), 500).await.unwrap())
            .filter(|page| !page.is_empty())
        {
            listed.extend(page.into_iter().map(|(id, ..)| id));
        }
        for batch in 0..=last {
            let from = batch * BATCH;
            assert!(!listed.contains(&Uuid::from_u128(from)), "{batch} was deleted");
            for number in from + 1..from + BATCH {
                assert!(
                    listed.contains(&Uuid::from_u128(number)),
                    "{number} of {batch} was written"
                );
            }
        }
        // And it goes on.
        let from = (last + 10) * BATCH;
        edge.upsert(&model(), points(from, from + BATCH)).await.unwrap();
        edge.delete(&model(), "a", vec![Uuid::from_u128(1)])
            .await
            .unwrap();
        let read = edge
            .get(&model(), "a", vec![Uuid::from_u128(1), Uuid::from_u128(from)])
            .await
            .unwrap();
        assert_eq!(read.len(), 1);
        edge.close().await;
    }
}
