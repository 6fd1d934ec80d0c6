//! What holds only where several instances share a database: one of them writes, all of them read, and no key but the
//! log's own is used.

use std::fs;

use harombe_error::{Code, Reason, ServiceError as _};
use harombe_types::ServiceName;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::Error;
use crate::domain::Filter;
use crate::files::{Source, query};
use crate::fixture::{LIMITS, Writer, numbers};
use crate::log::{Log, Opener};
use crate::store::contract::{Bench, persist};
use crate::store::{CHECKPOINT_FILE, Place};
use crate::verify::{Damage, Kind, Known, VerifyError, verify_with};

mod erasures;

async fn connection(bench: &Bench) -> PgConnection {
    let url = bench.database.as_ref().unwrap().url();
    PgConnection::connect(&url).await.unwrap()
}

async fn try_open(place: Place) -> Result<Log, Error> {
    Log::open(place, harombe_sql::Limits::default(), LIMITS, &numbers()).await
}

/// Ends the session that holds the writer's lock, as a network or an operator may.
async fn end_session_of_writer(bench: &Bench) {
    let ended: i64 = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_one(&mut connection(bench).await)
    .await
    .unwrap();
    assert_eq!(ended, 1);
}

#[tokio::test]
async fn one_instance_writes_and_the_next_goes_on_where_it_ended() {
    let bench = Bench::postgres().await;
    let other = TempDir::new().unwrap();
    let one = bench.open().await;
    let two = bench.open_at(other.path()).await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let first = persist(&one, writer.service, writer.events("alpha", 3)).await;
    assert_eq!(first.indexes, [0, 1, 2]);

    let refused = two
        .append(writer.service, writer.events("alpha", 1))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::NotWriter));
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::Unavailable, Reason::AuditUnavailable)
    );
    assert!(refused.retry_after().is_some());
    assert!(two.store().term().is_none());

    // Every read is answered there, the newest entry and its details included.
    let filter = Filter {
        tenant: Some("alpha".to_owned()),
        ..Filter::default()
    };
    let found = two.find(&filter, 0, 0).await.unwrap();
    assert_eq!((found.indexes, found.log_size), (vec![0, 1, 2], 3));
    assert_eq!(two.entry(2).await.unwrap().details, r#"{"count":3}"#);
    assert_eq!(two.prove("alpha", 1, 0).await.unwrap().size, 3);
    assert_eq!(two.head().await.unwrap().note(), one.head().await.unwrap().note());

    one.close().await;
    two.store().writes().wait_for(Option::is_some).await.unwrap();
    let next = two
        .append(writer.service, writer.events("alpha", 1))
        .await
        .unwrap();
    assert_eq!(next.indexes, [3]);
    two.close().await;
    assert_eq!(bench.intact().await.entries, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_loses_its_session_loses_nothing_else() {
    let bench = Bench::postgres().await;
    let other = TempDir::new().unwrap();
    let logs = [bench.open().await, bench.open_at(other.path()).await];
    let mut writer = Writer::new(ServiceName::Hitl);
    let mut places = Vec::new();
    for round in 0..6 {
        // Whichever of them writes now: an event is sent to both in turn until one takes it.
        let events = writer.events("alpha", 2);
        let appended = loop {
            let [one, two] = &logs;
            if let Ok(appended) = one.append(writer.service, events.clone()).await {
                break appended;
            }
            if let Ok(appended) = two.append(writer.service, events.clone()).await {
                break appended;
            }
            tokio::task::yield_now().await;
        };
        places.extend(appended.indexes);
        if round < 5 {
            end_session_of_writer(&bench).await;
        }
    }
    assert_eq!(places, (0..12).collect::<Vec<_>>());
    for log in &logs {
        log.close().await;
    }
    let report = bench.intact().await;
    assert_eq!((report.entries, report.unaccounted), (12, Vec::new()));
}

#[tokio::test]
async fn a_second_writer_without_the_lock_cannot_fork_the_log() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 2)).await;
    let place = bench.place();
    let database = super::database(place.config.postgres.as_ref().unwrap())
        .await
        .unwrap();
    // A writer of the same log that believes that it is the only one, and has seen the log up to here.
    let key = super::identify(&place.signing_key, &database).await.unwrap();
    let mut session = database.pool().acquire().await.unwrap();
    let crate::store::snapshot::State { head, tenants } =
        crate::store::snapshot::state(&mut *session, &key).await.unwrap();
    let sender = tokio::sync::watch::Sender::new(std::sync::Arc::new(head));
    let mut rogue = super::Ledger::new(key, sender, tenants, numbers());
    persist(&log, writer.service, writer.events("alpha", 2)).await;
    let keys = super::PostgresKeys::open(place.config.postgres.as_ref().unwrap(), &place.wrapping_key)
        .await
        .unwrap();
    let keys = crate::store::DataKeys::new(keys);
    let data_key = keys
        .of("alpha", "ann", crate::store::Term::default())
        .await
        .unwrap();
    let draft = writer
        .event("alpha", "exec.started")
        .draft(&data_key, harombe_redact::Scanner::shared(), LIMITS)
        .unwrap();
    let mut tables = super::tables::Tables {
        database: &database,
        session: &mut session,
    };
    let replies = rogue.append(&mut tables, &[vec![draft]]).await.unwrap();
    // Its addition did not fit where it thought; it had to take up the log first.
    assert_eq!(replies[0].as_ref().unwrap().indexes, [4]);
    // And the elected one goes on behind it.
    let next = persist(&log, writer.service, writer.events("alpha", 1)).await;
    assert_eq!(next.indexes, [5]);
    log.close().await;
    assert_eq!(bench.intact().await.entries, 6);
}

#[tokio::test]
async fn only_the_logs_own_keys_are_used() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let own = bench.place();
    let elsewhere = TempDir::new().unwrap();
    let stranger = Place::new(elsewhere.path().to_owned(), own.config.clone());
    // A new instance makes no key for a log that has one.
    let missing = try_open(stranger.clone()).await.err();
    assert!(matches!(missing, Some(Error::KeyMissing { .. })), "{missing:?}");
    // Keys of another log.
    let apart = Bench::postgres().await;
    apart.open().await.close().await;
    let foreign = apart.place();
    let wrong = Place {
        signing_key: foreign.signing_key.clone(),
        ..own.clone()
    };
    let refused = try_open(wrong).await.err();
    assert!(matches!(&refused, Some(Error::NotTheLogs { path }) if *path == foreign.signing_key));
    let wrong = Place {
        wrapping_key: foreign.wrapping_key.clone(),
        ..own.clone()
    };
    let refused = try_open(wrong).await.err();
    assert!(matches!(&refused, Some(Error::NotTheLogs { path }) if *path == foreign.wrapping_key));
    // The log goes on.
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    log.close().await;
    assert_eq!(
        fs::read_dir(elsewhere.path()).unwrap().count(),
        0,
        "a refused instance left files"
    );
}

#[tokio::test]
async fn details_are_opened_with_the_wrapping_key_only() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    let config = bench.place().config.postgres.unwrap();
    let wrapping_key = bench.place().wrapping_key;
    let read = async |wrapping_key| {
        let source = Source::Postgres {
            config: &config,
            wrapping_key,
        };
        query(source, &Filter::default(), 0, 10).await.unwrap().0
    };
    assert_eq!(read(None).await[0].details, "");
    assert_eq!(
        read(Some(wrapping_key.as_path())).await[0].details,
        r#"{"count":1}"#
    );
    let wrapped: Vec<u8> = sqlx::query_scalar("SELECT wrapped FROM harombe_audit_keys.data_keys")
        .fetch_one(&mut connection(&bench).await)
        .await
        .unwrap();
    assert_eq!(wrapped.len(), 16 + 12 + 32 + 16);
    log.close().await;
}

#[tokio::test]
async fn the_tables_refuse_changes_by_accident() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    let mut db = connection(&bench).await;
    for statement in [
        "UPDATE harombe_audit.entries SET body = ''",
        "DELETE FROM harombe_audit.entries",
        "TRUNCATE harombe_audit.checkpoints",
    ] {
        assert!(
            sqlx::query(statement).execute(&mut db).await.is_err(),
            "{statement}"
        );
    }
    log.close().await;
    bench.intact().await;
}

async fn damaged(bench: &Bench, known: Known) -> Damage {
    match bench.verify(known).await {
        Err(VerifyError::Damaged(damage)) => damage,
        other => panic!("no damage seen: {other:?}"),
    }
}

/// A log of 600 entries, in groups around the borders of its tiles, with `statement` done to it.
async fn check(statement: &str, kind: Kind, entry: impl Into<Option<u64>>) {
    let bench = Bench::postgres().await;
    crate::store::contract::written(&bench, &[1, 1, 254, 1, 300, 40, 1, 1, 1]).await;
    bench.tamper(statement).await;
    let damage = damaged(&bench, Known::default()).await;
    assert_eq!(
        (damage.kind, damage.entry),
        (kind, entry.into()),
        "{statement}: {damage}"
    );
}

#[tokio::test]
async fn changed_removed_and_added_entries_are_named() {
    check(
        "UPDATE entries SET body = replace(convert_from(body, 'UTF8'), '\"ok\"', '\"no\"')::bytea WHERE idx = 300",
        Kind::Changed,
        300,
    )
    .await;
    check(
        "UPDATE entries SET event_id = decode(md5('x'), 'hex') WHERE idx = 598",
        Kind::Changed,
        598,
    )
    .await;
    check(
        "UPDATE entries SET details = NULL WHERE idx = 5",
        Kind::DetailsChanged,
        5,
    )
    .await;
    check("DELETE FROM entries WHERE idx = 7", Kind::Removed, 7).await;
    check("DELETE FROM entries WHERE idx >= 20", Kind::CutTail, 20).await;
    check(
        "DROP INDEX entries_by_event; INSERT INTO entries SELECT 600, event_id, hash, body, details FROM entries WHERE idx = 599",
        Kind::Inserted,
        600,
    )
    .await;
    check(
        "UPDATE entries SET idx = -9 WHERE idx = 10; UPDATE entries SET idx = 10 WHERE idx = 11;
         UPDATE entries SET idx = 11 WHERE idx = -9",
        Kind::Reordered,
        10,
    )
    .await;
}

#[tokio::test]
async fn forged_checkpoints_and_trees_are_named() {
    check(
        "UPDATE checkpoints SET note = '' WHERE size = 2",
        Kind::ForgedCheckpoint,
        1,
    )
    .await;
    check("DELETE FROM checkpoints WHERE size = 600", Kind::Inserted, 599).await;
    check("DELETE FROM tiles WHERE idx = 1", Kind::TreeChanged, 511).await;
    check("UPDATE tenants SET seq = 1", Kind::Inconsistent, None).await;
    check("DROP TABLE tiles", Kind::Unreadable, None).await;
}

#[tokio::test]
async fn a_log_that_went_back_is_neither_read_nor_written() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 2)).await;
    persist(&log, writer.service, writer.events("alpha", 2)).await;
    let published = log.head().await.unwrap().note().to_owned();
    bench
        .tamper(
            "DELETE FROM entries WHERE idx >= 2; DELETE FROM checkpoints WHERE size > 2; UPDATE tenants SET seq = 2",
        )
        .await;
    // The instance that saw more notices at once …
    assert!(matches!(log.head().await, Err(Error::Store(_))));
    log.close().await;
    // … the log by itself does not, an instance whose directory has the published checkpoint does.
    assert_eq!(bench.intact().await.entries, 2);
    fs::write(bench.directory.path().join(CHECKPOINT_FILE), &published).unwrap();
    let refused = try_open(bench.place()).await.err();
    assert!(matches!(refused, Some(Error::Damaged(_))), "{refused:?}");
    let known = Known {
        checkpoint: Some(published.into_bytes()),
        key: None,
    };
    let damage = damaged(&bench, known).await;
    assert_eq!((damage.kind, damage.entry), (Kind::CutTail, Some(2)), "{damage}");
}

#[tokio::test]
async fn a_role_that_may_only_read_verifies() {
    let bench = Bench::postgres().await;
    crate::store::contract::written(&bench, &[3]).await;
    let mut db = connection(&bench).await;
    // Roles belong to the whole server, so another run of this test may have made it, or be about to.
    sqlx::raw_sql(
        "DO $$ BEGIN CREATE ROLE harombe_test_auditor LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT USAGE ON SCHEMA harombe_audit TO harombe_test_auditor;
         GRANT SELECT ON ALL TABLES IN SCHEMA harombe_audit TO harombe_test_auditor",
    )
    .execute(&mut db)
    .await
    .unwrap();
    let mut config = bench.place().config.postgres.unwrap();
    let (before, after) = config.url.split_once('@').unwrap();
    let (scheme, _) = before.split_once("://").unwrap();
    config.url = format!("{scheme}://harombe_test_auditor@{after}");
    let source = Source::Postgres {
        config: &config,
        wrapping_key: None,
    };
    assert_eq!(verify_with(source, Known::default()).await.unwrap().entries, 3);
    let (entries, _) = query(source, &Filter::default(), 0, 10).await.unwrap();
    assert_eq!(entries.len(), 3);
    // Without the right to read it there is nothing to see.
    sqlx::raw_sql("REVOKE ALL ON SCHEMA harombe_audit FROM harombe_test_auditor")
        .execute(&mut db)
        .await
        .unwrap();
    let refused = verify_with(source, Known::default()).await;
    assert!(matches!(refused, Err(VerifyError::Unreachable(_))), "{refused:?}");
}

#[tokio::test]
async fn there_is_nothing_to_verify_where_no_log_was() {
    let bench = Bench::postgres().await;
    let verdict = bench.verify(Known::default()).await;
    assert!(
        matches!(verdict, Err(VerifyError::Unreachable(Error::NoLog))),
        "{verdict:?}"
    );
}

/// What the index says, as far as it has come.
async fn indexed(bench: &Bench) -> Vec<(i64, String)> {
    sqlx::query_as("SELECT idx, tenant FROM harombe_audit.indexed ORDER BY idx")
        .fetch_all(&mut connection(bench).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_index_that_a_restore_has_left_is_not_believed_and_is_built_anew() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 2)).await;
    persist(&log, writer.service, writer.events("beta", 1)).await;
    while log.index_more().await.unwrap() {}
    let right = indexed(&bench).await;
    assert_eq!(right.len(), 3);
    let of = |tenant: &str| Filter {
        tenant: Some(tenant.to_owned()),
        ..Filter::default()
    };
    for left in [
        // of another history, longer than the log
        "UPDATE indexed SET tenant = 'beta'; UPDATE progress SET next = 9, hash = sha256('x')",
        // of another history of the same length
        "UPDATE indexed SET tenant = 'beta'; UPDATE progress SET hash = sha256('x')",
        // rows without their progress, and no progress at all
        "UPDATE indexed SET tenant = 'beta'; UPDATE progress SET next = 0, hash = NULL",
        "UPDATE indexed SET tenant = 'beta'; DELETE FROM progress",
        "DELETE FROM indexed; DELETE FROM progress",
    ] {
        bench.tamper(left).await;
        assert_eq!(
            log.find(&of("alpha"), 0, 0).await.unwrap().indexes,
            [0, 1],
            "{left}"
        );
        assert_eq!(log.find(&of("beta"), 0, 0).await.unwrap().indexes, [2], "{left}");
        while log.index_more().await.unwrap() {}
        assert_eq!(indexed(&bench).await, right, "{left}");
        assert_eq!(log.index_lag().await.unwrap(), 0);
    }
    // Whatever the index says, nobody is shown what the entry itself does not say.
    bench.tamper("UPDATE indexed SET tenant = 'beta'").await;
    let found = log.find(&of("beta"), 0, 0).await.unwrap().indexes;
    assert_eq!(found, [0, 1, 2]);
    let mut shown = Vec::new();
    for index in found {
        shown.push(
            log.matching(&Opener::default(), &of("beta"), index)
                .await
                .unwrap()
                .is_some(),
        );
    }
    assert_eq!(shown, [false, false, true]);
    log.close().await;
}

#[tokio::test]
async fn two_that_empty_and_fill_the_index_at_once_leave_it_whole() {
    let bench = Bench::postgres().await;
    let other = TempDir::new().unwrap();
    let (one, two) = (bench.open().await, bench.open_at(other.path()).await);
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&one, writer.service, writer.events("alpha", 50)).await;
    let fill = async |log: &Log| while log.index_more().await.unwrap() {};
    for _ in 0..10 {
        bench
            .tamper("UPDATE progress SET next = 9, hash = sha256('x')")
            .await;
        tokio::join!(fill(&one), fill(&two), fill(&two));
        assert_eq!(indexed(&bench).await.len(), 50);
    }
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn an_index_that_could_not_be_filled_is_filled_later_though_nothing_is_appended() {
    let bench = Bench::postgres().await;
    let log = std::sync::Arc::new(bench.open().await);
    let mut writer = Writer::new(ServiceName::Hitl);
    bench.tamper("ALTER TABLE indexed RENAME TO hidden").await;
    persist(&log, writer.service, writer.events("alpha", 3)).await;
    let (numbers, stop) = (numbers(), tokio_util::sync::CancellationToken::new());
    let every = std::time::Duration::from_millis(10);
    let filling = tokio::spawn(crate::tasks::index(
        std::sync::Arc::clone(&log),
        every,
        numbers.clone(),
        stop.clone(),
    ));
    while numbers.index_failures.get() == 0 {
        tokio::time::sleep(every).await;
    }
    bench.tamper("ALTER TABLE hidden RENAME TO indexed").await;
    while indexed(&bench).await.len() < 3 {
        tokio::time::sleep(every).await;
    }
    stop.cancel();
    filling.await.unwrap();
    log.close().await;
}
