//! Damage of every kind, done to a real log, and what verification says of it.

use std::fs;
use std::path::Path;

use harombe_tlog::{SigningKey, VerifyingKey};
use proptest::prelude::*;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::{Damage, Kind, Report, Trust, VerifyError, verify};
use crate::domain::Leaf;
use crate::fixture::{Writer, open, written};
use crate::store::sqlite::LOG_FILE;

async fn damaged(directory: &Path) -> Damage {
    match verify(directory, None).await {
        Err(VerifyError::Damaged(damage)) => damage,
        other => panic!("no damage seen: {other:?}"),
    }
}

async fn database(directory: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join(LOG_FILE));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// A log of 600 entries, in groups around the borders of its tiles, with `statements` done to it.
async fn tampered(statements: &[&'static str]) -> (TempDir, Damage) {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[1, 1, 254, 1, 300, 40, 1, 1, 1]).await;
    let mut db = database(directory.path()).await;
    for statement in statements {
        sqlx::query(*statement).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    let damage = damaged(directory.path()).await;
    (directory, damage)
}

async fn check(statements: &[&'static str], kind: Kind, entry: impl Into<Option<u64>>) {
    let (_, damage) = tampered(statements).await;
    assert_eq!(
        (damage.kind, damage.entry),
        (kind, entry.into()),
        "{statements:?}: {damage}"
    );
}

async fn intact(directory: &Path) -> Report {
    verify(directory, None).await.unwrap()
}

#[tokio::test]
async fn an_untouched_log_is_verified_in_use_and_as_a_copy() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[1, 300, 2]).await;
    let report = intact(directory.path()).await;
    assert_eq!(
        (report.entries, report.checkpoints, report.trust),
        (303, 3, Trust::Beside)
    );
    assert_eq!(report.unaccounted, []);

    let log = open(directory.path()).await;
    let mut writer = Writer::new(harombe_types::ServiceName::Hitl);
    log.append(writer.service, writer.events("alpha", 2))
        .await
        .unwrap();
    assert_eq!(intact(directory.path()).await.entries, 305);
    let copy = TempDir::new().unwrap();
    fs::create_dir(copy.path().join("keys")).unwrap();
    for name in ["audit.db", "audit.db-wal", "keys/verifier.pub"] {
        fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    assert_eq!(intact(copy.path()).await.entries, 305);
    log.close().await;

    let key = VerifyingKey::parse(&report.key).unwrap();
    assert_eq!(
        verify(directory.path(), Some(key)).await.unwrap().trust,
        Trust::Given
    );
}

#[tokio::test]
async fn a_changed_byte_in_a_copy_is_named() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let mut writer = Writer::new(harombe_types::ServiceName::Hitl);
    for kind in ["approval.requested", "approval.decided", "grant.redeemed"] {
        log.append(writer.service, vec![writer.event("alpha", kind)])
            .await
            .unwrap();
    }
    let copy = TempDir::new().unwrap();
    crate::files::copy(directory.path(), copy.path()).await.unwrap();
    assert_eq!(intact(copy.path()).await.entries, 3);
    let mut bytes = fs::read(copy.path().join(LOG_FILE)).unwrap();
    let word = b"approval.decided";
    let at = bytes
        .windows(word.len())
        .position(|window| window == word)
        .unwrap();
    bytes[at] ^= 1;
    fs::write(copy.path().join(LOG_FILE), bytes).unwrap();
    let damage = damaged(copy.path()).await;
    assert_eq!((damage.kind, damage.entry), (Kind::Changed, Some(1)), "{damage}");
    assert_eq!(intact(directory.path()).await.entries, 3);
    assert!(
        crate::files::copy(directory.path(), copy.path()).await.is_err(),
        "a log is there already"
    );
    log.close().await;
}

#[tokio::test]
async fn an_empty_log_is_verified() {
    let directory = TempDir::new().unwrap();
    open(directory.path()).await.close().await;
    assert_eq!(intact(directory.path()).await.entries, 0);
}

#[tokio::test]
async fn gaps_in_a_writers_own_count_are_told() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let mut writer = Writer::new(harombe_types::ServiceName::Hitl);
    let mut events = writer.events("alpha", 4);
    events.remove(1);
    log.append(writer.service, events).await.unwrap();
    log.close().await;
    let report = intact(directory.path()).await;
    let [gap] = report.unaccounted.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(
        (gap.service.as_str(), gap.missing, gap.first, gap.repeated),
        ("hitl", 1, Some(2), 0)
    );
}

#[tokio::test]
async fn changed_entries() {
    for (statement, entry) in [
        (
            "UPDATE entries SET body = CAST(replace(body, 'exec.started', 'exec.stopped') AS BLOB) WHERE idx = 0",
            0,
        ),
        (
            "UPDATE entries SET body = CAST(replace(body, '\"ok\"', '\"no\"') AS BLOB) WHERE idx = 300",
            300,
        ),
        (
            "UPDATE entries SET body = CAST(replace(body, '\"ok\"', '\"no\"') AS BLOB) WHERE idx = 599",
            599,
        ),
        ("UPDATE entries SET hash = randomblob(32) WHERE idx = 17", 17),
        (
            "UPDATE entries SET event_id = randomblob(16) WHERE idx = 598",
            598,
        ),
        (
            "UPDATE entries SET body = x'7b7d', hash = (SELECT hash FROM entries WHERE idx = 3) WHERE idx = 2",
            2,
        ),
    ] {
        check(&[statement], Kind::Changed, entry).await;
    }
    check(
        &["UPDATE entries SET details = randomblob(60) WHERE idx = 5"],
        Kind::DetailsChanged,
        5,
    )
    .await;
    check(
        &["UPDATE entries SET details = NULL WHERE idx = 5"],
        Kind::DetailsChanged,
        5,
    )
    .await;
}

/// Rewrites an entry so that everything in its own row agrees.
async fn rewrite(directory: &Path, index: i64) {
    let mut db = database(directory).await;
    let body: Vec<u8> = sqlx::query_scalar("SELECT body FROM entries WHERE idx = ?")
        .bind(index)
        .fetch_one(&mut db)
        .await
        .unwrap();
    let body = String::from_utf8(body)
        .unwrap()
        .replace("\"ok\"", "\"no\"")
        .into_bytes();
    sqlx::query("UPDATE entries SET body = ?, hash = ? WHERE idx = ?")
        .bind(body.clone())
        .bind(Leaf::hash(&body).as_bytes().to_vec())
        .bind(index)
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn an_entry_rewritten_with_its_hash_is_named() {
    // In a full tile, alone under its checkpoint, and in a larger group of the tail.
    for (index, named) in [(100, 100), (300, 300), (598, 598), (570, 557)] {
        let directory = TempDir::new().unwrap();
        written(directory.path(), &[1, 1, 254, 1, 300, 40, 1, 1, 1]).await;
        rewrite(directory.path(), index).await;
        let damage = damaged(directory.path()).await;
        assert_eq!(
            (damage.kind, damage.entry),
            (Kind::Changed, Some(named)),
            "{damage}"
        );
    }
}

#[tokio::test]
async fn removed_and_cut() {
    check(&["DELETE FROM entries WHERE idx = 7"], Kind::Removed, 7).await;
    check(
        &["DELETE FROM entries WHERE idx BETWEEN 300 AND 310"],
        Kind::Removed,
        300,
    )
    .await;
    check(
        &[
            "DELETE FROM entries WHERE idx = 590",
            "UPDATE entries SET idx = idx - 1 WHERE idx > 590",
        ],
        Kind::Removed,
        590,
    )
    .await;
    check(&["DELETE FROM entries WHERE idx >= 599"], Kind::CutTail, 599).await;
    check(&["DELETE FROM entries WHERE idx >= 20"], Kind::CutTail, 20).await;
    check(&["DELETE FROM entries"], Kind::CutTail, 0).await;
}

#[tokio::test]
async fn inserted_and_reordered() {
    let add = "INSERT INTO entries SELECT 600, event_id, hash, body, details FROM entries WHERE idx = 599";
    check(&["DROP INDEX entries_by_event", add], Kind::Inserted, 600).await;
    let swap = |a: i64, b: i64| -> [String; 3] {
        [(a, -9), (b, a), (-9, b)]
            .map(|(from, to)| format!("UPDATE entries SET idx = {to} WHERE idx = {from}"))
    };
    for (a, b, expected) in [(10, 11, 10), (595, 596, 595)] {
        let directory = TempDir::new().unwrap();
        written(directory.path(), &[1, 1, 254, 1, 300, 40, 1, 1, 1]).await;
        let mut db = database(directory.path()).await;
        for statement in swap(a, b) {
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&mut db)
                .await
                .unwrap();
        }
        db.close().await.unwrap();
        let damage = damaged(directory.path()).await;
        assert_eq!(
            (damage.kind, damage.entry),
            (Kind::Reordered, Some(expected)),
            "{damage}"
        );
    }
}

#[tokio::test]
async fn forged_checkpoints_and_trees() {
    check(&["UPDATE checkpoints SET note = replace(note, char(10) || '600' || char(10), char(10) || '601' || char(10)) WHERE size = 600"], Kind::ForgedCheckpoint, 599).await;
    check(
        &["UPDATE checkpoints SET note = '' WHERE size = 2"],
        Kind::ForgedCheckpoint,
        1,
    )
    .await;
    check(
        &["UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 1) WHERE size = 2"],
        Kind::ForgedCheckpoint,
        1,
    )
    .await;
    check(&["DELETE FROM checkpoints WHERE size = 600"], Kind::Inserted, 599).await;
    check(&["DELETE FROM checkpoints"], Kind::Inserted, 0).await;
    check(
        &["UPDATE tiles SET hashes = randomblob(8192) WHERE idx = 0"],
        Kind::TreeChanged,
        255,
    )
    .await;
    check(&["DELETE FROM tiles WHERE idx = 1"], Kind::TreeChanged, 511).await;
    check(
        &["INSERT INTO tiles VALUES (3, 0, zeroblob(8192))"],
        Kind::TreeChanged,
        None,
    )
    .await;
    check(&["UPDATE tenants SET seq = 1"], Kind::Inconsistent, None).await;
    check(&["DROP TABLE tiles"], Kind::Unreadable, None).await;
    check(&["DROP TABLE entries"], Kind::Unreadable, 0).await;
}

#[tokio::test]
async fn a_rollback_of_everything_shows_against_the_published_checkpoint() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[3]).await;
    let log = open(directory.path()).await;
    let mut writer = Writer::new(harombe_types::ServiceName::Hitl);
    log.append(writer.service, writer.events("gamma", 2))
        .await
        .unwrap();
    fs::write(
        directory.path().join("checkpoint"),
        log.head().await.unwrap().note(),
    )
    .unwrap();
    log.close().await;
    assert_eq!(intact(directory.path()).await.entries, 5);
    let mut db = database(directory.path()).await;
    for statement in [
        "DELETE FROM entries WHERE idx >= 3",
        "DELETE FROM checkpoints WHERE size > 3",
        "DELETE FROM tenants WHERE tenant = 'gamma'",
    ] {
        sqlx::query(statement).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    let damage = damaged(directory.path()).await;
    assert_eq!((damage.kind, damage.entry), (Kind::CutTail, Some(3)), "{damage}");
    fs::write(directory.path().join("checkpoint"), "nonsense").unwrap();
    assert_eq!(damaged(directory.path()).await.kind, Kind::ForgedCheckpoint);
}

#[tokio::test]
async fn another_key_is_not_believed() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[3]).await;
    let own = fs::read_to_string(directory.path().join("keys/verifier.pub")).unwrap();
    let name = own.split('+').next().unwrap();
    let other = SigningKey::from_seed(name, &[5; 32]).unwrap();
    let verdict = verify(directory.path(), Some(other.verifying_key().clone())).await;
    let Err(VerifyError::Damaged(damage)) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        (damage.kind, damage.entry),
        (Kind::ForgedCheckpoint, Some(2)),
        "{damage}"
    );
    fs::write(directory.path().join("keys/verifier.pub"), "nonsense").unwrap();
    assert!(matches!(
        verify(directory.path(), None).await,
        Err(VerifyError::NoKey(_))
    ));
}

#[tokio::test]
async fn files_that_are_no_log() {
    let directory = TempDir::new().unwrap();
    assert!(matches!(
        verify(directory.path(), None).await,
        Err(VerifyError::NoLog { .. })
    ));
    written(directory.path(), &[1]).await;
    let path = directory.path().join(LOG_FILE);
    let whole = fs::read(&path).unwrap();
    for content in [
        &b""[..],
        b"x",
        &[0; 4096],
        &whole[..whole.len() / 2],
        &whole[..100],
    ] {
        let _ = fs::remove_file(path.with_extension("db-wal"));
        let _ = fs::remove_file(path.with_extension("db-shm"));
        fs::write(&path, content).unwrap();
        damaged(directory.path()).await;
    }
}

/// What a log says, read without any check.
async fn content(directory: &Path) -> Option<Vec<Vec<u8>>> {
    let mut db = database(directory).await;
    let mut content = Vec::new();
    for query in [
        "SELECT idx || hex(event_id) || hex(hash) || hex(body) || coalesce(hex(details), '-') FROM entries ORDER BY idx",
        "SELECT size || note FROM checkpoints ORDER BY size",
        "SELECT level || ' ' || idx || hex(hashes) FROM tiles ORDER BY level, idx",
        "SELECT tenant || seq FROM tenants ORDER BY tenant",
    ] {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&mut db).await.ok()?;
        content.extend(rows);
    }
    db.close().await.ok()?;
    Some(content)
}

#[test]
fn any_flipped_byte_is_noticed_or_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let original = TempDir::new().unwrap();
    runtime.block_on(written(original.path(), &[1, 2, 280, 1]));
    let bytes = fs::read(original.path().join(LOG_FILE)).unwrap();
    let before = runtime.block_on(content(original.path())).unwrap();
    let copy = TempDir::new().unwrap();
    fs::create_dir(copy.path().join("keys")).unwrap();
    fs::copy(
        original.path().join("keys/verifier.pub"),
        copy.path().join("keys/verifier.pub"),
    )
    .unwrap();
    fs::write(copy.path().join(LOG_FILE), &bytes).unwrap();
    assert_eq!(
        runtime.block_on(verify(copy.path(), None)).unwrap().entries,
        284,
        "the file alone is the whole log"
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    let flips = (any::<prop::sample::Index>(), 1_u8..=255);
    runner
        .run(&flips, |(at, mask)| {
            let mut damaged = bytes.clone();
            damaged[at.index(bytes.len())] ^= mask;
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(copy.path().join(format!("{LOG_FILE}{suffix}")));
            }
            fs::write(copy.path().join(LOG_FILE), damaged).unwrap();
            let verdict = runtime.block_on(verify(copy.path(), None));
            if let Ok(report) = verdict {
                prop_assert_eq!(report.entries, 284);
                let after = runtime.block_on(content(copy.path()));
                prop_assert_eq!(after.as_ref(), Some(&before));
            }
            Ok(())
        })
        .unwrap();
}
