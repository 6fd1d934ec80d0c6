//! The crate as a service uses it: real files, real fsyncs, real kills.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod crash;
mod erasing;
mod faults;
mod groups;
mod opening;
mod postgres;
mod units;

use std::path::Path;

use harombe_sql::{Connection, Database, Migrator, UnitError, UnitFuture, Writer};

static MIGRATIONS: Migrator = harombe_sql::migrate!("tests/it/migrations");

/// A domain rule that a test's unit breaks.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(&'static str);

async fn open(path: &Path) -> (Database, Writer) {
    Database::open(path, &MIGRATIONS).await.unwrap()
}

async fn names(database: &Database) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM notes ORDER BY id")
        .fetch_all(database.readers())
        .await
        .unwrap()
}

/// A unit that adds a note and returns its row id.
fn add(
    name: impl Into<String>,
) -> impl for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, i64, Refusal> + Send + 'static {
    add_bytes(name, 8)
}

fn add_bytes(
    name: impl Into<String>,
    bytes: usize,
) -> impl for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, i64, Refusal> + Send + 'static {
    let name = name.into();
    move |tx: &mut Connection| Box::pin(insert(tx, name, bytes))
}

async fn insert(tx: &mut Connection, name: String, bytes: usize) -> Result<i64, UnitError<Refusal>> {
    let done = sqlx::query("INSERT INTO notes (name, body) VALUES (?, ?)")
        .bind(name)
        .bind(vec![7_u8; bytes])
        .execute(tx)
        .await?;
    Ok(done.last_insert_rowid())
}

/// Tells the compiler that a closure is good for every connection, which it does not find out by itself for a closure
/// that is first put into a variable.
fn unit<T, F>(unit: F) -> F
where
    F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, Refusal> + Send + 'static,
{
    unit
}
