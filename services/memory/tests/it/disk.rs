//! A disk that fills up: writes are refused in a way that says so, nothing acknowledged is lost, and all goes on when there
//! is room again.

use harombe_error::{Code, Reason};
use harombe_memory::Config;
use harombe_testkit::Disk;
use tempfile::TempDir;

use crate::rig::{Rig, entry};

#[tokio::test]
async fn a_full_disk_refuses_and_is_over_when_there_is_room() {
    let disk = Disk::of("2m");
    let directory = TempDir::new_in(disk.path()).expect("directory");
    let rig = Rig::under(directory, Config::default(), None).await;
    let (session, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let step = |cursor: u64| vec![entry(&cursor.to_string()), entry(&"lorem ipsum ".repeat(4000))];
    let mut cursor = begun.cursor;
    let refused = loop {
        assert!(cursor < 400, "the disk never filled up");
        match rig.append(&run, epoch, cursor, step(cursor)).await {
            Ok(appended) => cursor = appended.cursor,
            Err(failure) => break failure,
        }
    };
    assert!(cursor > begun.cursor);
    assert_eq!(
        (refused.code, refused.reason),
        (Code::Unavailable, Reason::StoreUnavailable),
        "{refused}"
    );
    assert!(refused.retry_after.is_some());
    // reading goes on, and there is nothing of what was refused
    assert_eq!(rig.read(&run).await.1.len() as u64, cursor);

    disk.grow("32m");
    let appended = rig
        .append(&run, epoch, cursor, step(cursor))
        .await
        .expect("append");
    assert_eq!(appended.cursor, cursor + 2);
    rig.finish(&run, epoch, "done").await.expect("finish");
    let rig = rig.restart().await;
    let (_, entries) = rig.read(&run).await;
    let cursors: Vec<u64> = entries.iter().map(|entry| entry.cursor).collect();
    assert_eq!(cursors, (1..=cursor + 3).collect::<Vec<_>>());
    assert_eq!(rig.session(session).await.expect("session").turns, 1);
}
