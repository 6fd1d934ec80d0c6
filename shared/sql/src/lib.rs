//! One way to keep state for every service: a database file opened with the same safety settings, whose one
//! writer commits many callers' work with one fsync; or, for more than one machine, a schema on a Postgres server.
//!
//! - [`Database::open`] opens (or creates) a file, checks it, migrates it, and returns the read side and the
//!   one [`Writer`]. Only one `Writer` exists per open file, so "one writing connection" is a matter of types.
//! - [`GroupCommit`] owns the writer. A [`Handler`] sees a whole group of jobs at once, inside one transaction.
//! - [`Units`] is the form most services want: each caller brings a closure, and what a refused one wrote is undone alone.
//! - [`Queue`](harombe_fair::Queue) stands in front of both, so that one noisy caller cannot starve the others.
//! - [`BulkInsert`] writes many rows with few statements.
//! - [`WriteAheadLog`] is for who erases: what was deleted is in it until it is emptied.
//! - [`StoreConfig`] is how an operator chooses, and [`Postgres`] the second choice: [`Postgres::transaction`] and
//!   [`Postgres::idempotent`] repeat what a lost connection or a collision undid, [`Hints`] go between the
//!   processes that share a schema.
//!
//! Nothing is acknowledged before its transaction is on the disk (`synchronous=FULL`; `fsync` and `synchronous_commit` on).
//! The storage traits of the services are the seam for another database: only adapters name this crate.

mod bulk;
mod config;
mod database;
mod error;
mod group;
mod postgres;
mod units;
mod wal;

pub use bulk::BulkInsert;
pub use config::{PostgresConfig, StoreConfig};
pub use database::{Database, Writer};
pub use error::{Constraint, Error};
pub use group::{GroupCommit, Handler, Limits};
/// The queue in front of the writer.
pub use harombe_fair as fair;
pub use postgres::{Hints, Postgres};
pub use units::{UnitError, UnitFuture, Units};
pub use wal::WriteAheadLog;

/// Declares the migrations of the calling crate and embeds them in the binary.
pub use sqlx::migrate;
pub use sqlx::migrate::Migrator;
/// The driver's types, for adapters on Postgres.
pub use sqlx::postgres as pg;
/// A connection inside a group's transaction.
pub use sqlx::sqlite::SqliteConnection as Connection;
