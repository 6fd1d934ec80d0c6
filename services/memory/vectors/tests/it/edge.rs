//! Edge: the contract, and what becomes of its folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_types::{ManualClock, SystemClock, Timestamp};
use harombe_vectors::contract::{Numbers, World};
use harombe_vectors::{Collection, Edge, EdgeConfig, Ensured, Error, Filter, Point, Tags, Vectors};
use tempfile::TempDir;
use uuid::Uuid;

struct Here {
    edge: Edge,
    _folder: TempDir,
}

#[async_trait]
impl World for Here {
    fn vectors(&self) -> &dyn Vectors {
        &self.edge
    }

    async fn settle(&self, collection: &Collection) {
        assert!(self.edge.index(collection).await.unwrap(), "nothing was built");
    }
}

async fn here() -> Here {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path());
    Here {
        edge,
        _folder: folder,
    }
}

harombe_vectors::contract!(here);

/// Builds an index of little, and when it is asked to.
pub(crate) fn config() -> EdgeConfig {
    EdgeConfig {
        index_from: (64 << 10).into(),
        index_after: 10_000_000,
        index_idle: Duration::from_secs(3600).into(),
        min_free: 0.into(),
        ..EdgeConfig::default()
    }
}

pub(crate) fn open(folder: &Path) -> Edge {
    Edge::open(&config(), folder, Arc::new(SystemClock)).unwrap()
}

pub(crate) fn model() -> Collection {
    Collection {
        name: "model-0123".to_owned(),
        dimension: 32,
    }
}

/// Points `from` up to `to`, of tenant a and subject s.
pub(crate) fn points(from: u128, to: u128) -> Vec<Point> {
    let mut random = Numbers::new(9);
    let tags = Tags {
        tenant: "a".to_owned(),
        subject: "s".to_owned(),
        agent: "default".to_owned(),
        session: None,
        kind: 0,
        label: 0,
        time_ms: 0,
        seq: 1,
    };
    let point = |number| Point {
        id: Uuid::from_u128(number),
        vector: random.vector(32),
        tags: tags.clone(),
    };
    (from..to).map(point).collect()
}

pub(crate) fn filter() -> Filter {
    Filter {
        tenant: "a".to_owned(),
        subject: "s".to_owned(),
        ..Filter::default()
    }
}

async fn fill(edge: &Edge, many: u128) {
    for from in (0..many).step_by(500) {
        let to = many.min(from + 500);
        edge.upsert(&model(), points(from, to)).await.unwrap();
    }
}

async fn search(edge: &Edge) -> Vec<Uuid> {
    let query = Numbers::new(9).vector(32);
    let hits = edge.search(&model(), &filter(), &query, 5, true).await.unwrap();
    hits.into_iter().map(|hit| hit.id).collect()
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path());
    let Err(Error::Locked { owner, .. }) = Edge::open(&config(), folder.path(), Arc::new(SystemClock)) else {
        panic!("two have one folder");
    };
    let us = format!("process {} (", std::process::id());
    assert!(owner.starts_with(&us), "{owner}");
    edge.close().await;
    open(folder.path()).close().await;
}

#[tokio::test]
async fn what_was_written_is_there_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path());
    assert_eq!(edge.ensure(&model()).await.unwrap(), Ensured::Created);
    fill(&edge, 1_200).await;
    let ids = (100..200).map(Uuid::from_u128).collect();
    edge.delete(&model(), "a", ids).await.unwrap();
    let before = search(&edge).await;
    edge.close().await;

    let edge = open(folder.path());
    assert_eq!(edge.collections().await.unwrap(), [model()]);
    assert_eq!(edge.ensure(&model()).await.unwrap(), Ensured::Existing);
    assert_eq!(edge.count(&model()).await.unwrap(), 1_100);
    assert_eq!(search(&edge).await, before);
    // Operations are numbered on: what comes now is not taken for what was.
    edge.upsert(&model(), points(0, 1)).await.unwrap();
    edge.delete(&model(), "a", vec![Uuid::from_u128(0)])
        .await
        .unwrap();
    assert_eq!(edge.count(&model()).await.unwrap(), 1_099);
    edge.close().await;
}

#[tokio::test]
async fn a_folder_that_is_damaged_is_put_aside_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000)));
    let aside = |time: i64| folder.path().join(format!("{}.corrupt-{time}", model().name));
    for (number, damage) in [truncate as fn(&Path), scribble, unlink].into_iter().enumerate() {
        let edge = Edge::open(&config(), folder.path(), Arc::clone(&clock) as _).unwrap();
        edge.ensure(&model()).await.unwrap();
        fill(&edge, 600).await;
        edge.index(&model()).await.unwrap();
        edge.close().await;
        damage(&folder.path().join(model().name));

        clock.advance(Duration::from_secs(1));
        let edge = Edge::open(&config(), folder.path(), Arc::clone(&clock) as _).unwrap();
        let ensured = edge.ensure(&model()).await.unwrap();
        let Ensured::Rebuilt { reason } = ensured else {
            panic!("damage {number} was not seen: {ensured:?}");
        };
        assert!(!reason.is_empty());
        assert_eq!(edge.count(&model()).await.unwrap(), 0);
        fill(&edge, 600).await;
        assert_eq!(edge.count(&model()).await.unwrap(), 600);
        // Only the newest is kept.
        let time = 1_000 * (i64::try_from(number).unwrap() + 2);
        assert!(aside(time).is_dir());
        assert!(!aside(time - 1_000).exists());
        // And that no longer than all that it had is made again.
        if number > 1 {
            edge.settled().await.unwrap();
            edge.settled().await.unwrap();
            assert!(!aside(time).exists());
            assert_eq!(edge.count(&model()).await.unwrap(), 600);
        }
        edge.close().await;
    }
}

fn truncate(folder: &Path) {
    change(folder, &|path, text| {
        let _ = fs::write(path, &text[..text.len() / 2]);
    });
}

fn scribble(folder: &Path) {
    change(folder, &|path, mut text| {
        text.iter_mut().for_each(|byte| *byte ^= 0x5a);
        let _ = fs::write(path, text);
    });
}

fn unlink(folder: &Path) {
    change(folder, &|path, _| {
        let _ = fs::remove_file(path);
    });
}

/// Does something to all files of the segments but the one that says which version of the engine wrote them: a segment
/// without it counts as not written, and what it held is found missing by reconciliation.
fn change(folder: &Path, damage: &dyn Fn(&Path, Vec<u8>)) {
    let mut folders = vec![folder.join("segments")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("version.info") {
                let text = fs::read(&path).unwrap();
                damage(&path, text);
            }
        }
    }
}

#[tokio::test]
async fn a_snapshot_brings_back_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let (home, copy) = (folder.path().join("home"), folder.path().join("copy"));
    let edge = open(&home);
    edge.ensure(&model()).await.unwrap();
    fill(&edge, 900).await;
    edge.index(&model()).await.unwrap();
    fill(&edge, 1_000).await;
    let before = search(&edge).await;
    edge.snapshot(&model(), &copy).await.unwrap();
    let ids = (0..1_000).map(Uuid::from_u128).collect();
    edge.delete(&model(), "a", ids).await.unwrap();
    assert_eq!(edge.count(&model()).await.unwrap(), 0);

    edge.restore(&model(), &copy).await.unwrap();
    assert_eq!(edge.count(&model()).await.unwrap(), 1_000);
    assert_eq!(search(&edge).await, before);
    edge.upsert(&model(), points(1_000, 1_010)).await.unwrap();
    edge.delete(&model(), "a", vec![Uuid::from_u128(3)])
        .await
        .unwrap();
    edge.close().await;

    // Elsewhere as well, where nothing of it was.
    let other = open(&folder.path().join("other"));
    other.restore(&model(), &copy).await.unwrap();
    assert_eq!(search(&other).await, before);
    other.close().await;
    let edge = open(&home);
    edge.ensure(&model()).await.unwrap();
    assert_eq!(edge.count(&model()).await.unwrap(), 1_009);
    edge.close().await;
}

#[tokio::test]
async fn what_is_no_snapshot_is_refused_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (home, copy) = (folder.path().join("home"), folder.path().join("copy"));
    let edge = open(&home);
    edge.ensure(&model()).await.unwrap();
    fill(&edge, 10).await;
    edge.snapshot(&model(), &copy).await.unwrap();
    let taken = edge.snapshot(&model(), &copy).await.unwrap_err();
    assert!(matches!(taken, Error::Io { .. }), "{taken}");
    let absent = edge.restore(&model(), &home).await.unwrap_err();
    assert!(matches!(absent, Error::Io { .. }), "{absent}");
    let other = Collection {
        name: "other".to_owned(),
        ..model()
    };
    let foreign = edge.restore(&other, &copy).await.unwrap_err();
    assert!(matches!(foreign, Error::Invalid(_)), "{foreign}");
    let wider = Collection {
        dimension: 33,
        ..model()
    };
    let foreign = edge.restore(&wider, &copy).await.unwrap_err();
    assert!(matches!(foreign, Error::Dimension { .. }), "{foreign}");
    assert_eq!(edge.count(&model()).await.unwrap(), 10);
    assert_eq!(edge.collections().await.unwrap(), [model()]);
    edge.close().await;
}

#[tokio::test]
async fn the_index_is_built_when_nothing_was_written_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let config = EdgeConfig {
        index_idle: Duration::from_millis(20).into(),
        ..config()
    };
    let edge = Edge::open(&config, folder.path(), Arc::new(SystemClock)).unwrap();
    edge.ensure(&model()).await.unwrap();
    fill(&edge, 2_000).await;
    let segments = folder.path().join(model().name).join("segments");
    // A graph is among the files then.
    while !holds(&segments, "links") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(edge.count(&model()).await.unwrap(), 2_000);
    assert!(
        !edge.index(&model()).await.unwrap(),
        "there is nothing left to build"
    );
    edge.close().await;
}

fn holds(folder: &Path, part: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        entry.file_name().to_string_lossy().contains(part) || (path.is_dir() && holds(&path, part))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_and_writes_go_on_while_an_index_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Arc::new(open(folder.path()));
    edge.ensure(&model()).await.unwrap();
    fill(&edge, 8_000).await;
    let building = {
        let edge = Arc::clone(&edge);
        tokio::spawn(async move { edge.index(&model()).await })
    };
    let mut number = 8_000;
    while !building.is_finished() {
        edge.upsert(&model(), points(number, number + 10)).await.unwrap();
        let gone = Uuid::from_u128(number + 5);
        edge.delete(&model(), "a", vec![gone, Uuid::from_u128(number - 8_000)])
            .await
            .unwrap();
        let hits = edge
            .search(&model(), &filter(), &[1.0; 32], 20, false)
            .await
            .unwrap();
        assert_eq!(hits.len(), 20);
        assert!(hits.iter().all(|hit| hit.id != gone));
        number += 10;
    }
    assert!(building.await.unwrap().unwrap());
    // Ten came and two went in each round.
    let rounds = u64::try_from((number - 8_000) / 10).unwrap();
    assert_eq!(edge.count(&model()).await.unwrap(), 8_000 + rounds * 8);
    edge.close().await;
}

#[tokio::test]
async fn the_engines_log_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path());
    let wide = Collection {
        name: "wide".to_owned(),
        dimension: 4_096,
    };
    edge.ensure(&wide).await.unwrap();
    let log = folder.path().join("wide/wal");
    let full = || {
        let names = fs::read_dir(&log)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("closed-"))
            .count()
    };
    let mut random = Numbers::new(3);
    let mut number = 0;
    while full() <= 16 {
        let mut batch = points(number, number + 200);
        batch
            .iter_mut()
            .for_each(|point| point.vector = random.vector(4_096));
        edge.upsert(&wide, batch).await.unwrap();
        number = (number + 200) % 600;
    }
    edge.index(&wide).await.unwrap();
    assert!(full() <= 1, "{}", full());
    // Operations are numbered on.
    edge.delete(&wide, "a", vec![Uuid::from_u128(1)]).await.unwrap();
    let left = edge.count(&wide).await.unwrap();
    edge.close().await;
    let edge = open(folder.path());
    edge.ensure(&wide).await.unwrap();
    assert_eq!(edge.count(&wide).await.unwrap(), left);
    edge.delete(&wide, "a", vec![Uuid::from_u128(2)]).await.unwrap();
    assert_eq!(edge.count(&wide).await.unwrap(), left - 1);
    edge.close().await;
}

#[tokio::test]
async fn points_are_refused_when_the_disk_is_nearly_full() {
    let folder = tempfile::tempdir().unwrap();
    let edge = open(folder.path());
    edge.ensure(&model()).await.unwrap();
    fill(&edge, 10).await;
    edge.close().await;
    let config = EdgeConfig {
        min_free: u64::MAX.into(),
        ..config()
    };
    let edge = Edge::open(&config, folder.path(), Arc::new(SystemClock)).unwrap();
    edge.ensure(&model()).await.unwrap();
    let full = edge.upsert(&model(), points(10, 20)).await.unwrap_err();
    assert!(matches!(full, Error::NoSpace { .. }) && full.passes(), "{full}");
    assert_eq!(search(&edge).await.len(), 5);
    edge.delete(&model(), "a", vec![Uuid::from_u128(1)])
        .await
        .unwrap();
    assert_eq!(edge.count(&model()).await.unwrap(), 9);
    edge.close().await;
}

#[tokio::test]
async fn more_than_waits_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = EdgeConfig {
        queued_points: 1_000,
        ..config()
    };
    let edge = Edge::open(&config, folder.path(), Arc::new(SystemClock)).unwrap();
    let model = model();
    edge.ensure(&model).await.unwrap();
    let writes: Vec<_> = (0..20)
        .map(|number| edge.upsert(&model, points(number * 1_000, number * 1_000 + 1_000)))
        .collect();
    // Polled once each, so that all ask before any is answered.
    let mut refused = 0;
    let mut taken = Vec::new();
    for mut write in writes {
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context)));
        match polled.await {
            std::task::Poll::Ready(Err(Error::Busy)) => refused += 1,
            std::task::Poll::Ready(done) => done.unwrap(),
            std::task::Poll::Pending => taken.push(write),
        }
    }
    assert!(refused > 0);
    for write in taken {
        write.await.unwrap();
    }
    assert_eq!(edge.count(&model).await.unwrap(), (20 - refused) * 1_000);
    edge.close().await;
}
