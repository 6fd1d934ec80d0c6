//! Postgres as services use it: real servers, that are also stopped and killed.

mod faults;
mod hints;
mod opening;
mod work;

use harombe_sql::{Migrator, Postgres, PostgresConfig};

static MIGRATIONS: Migrator = harombe_sql::migrate!("tests/it/migrations-postgres");

const SCHEMA: &str = "harombe_notes";

async fn open(config: &PostgresConfig) -> Postgres {
    Postgres::open(config, SCHEMA, &MIGRATIONS).await.unwrap()
}

async fn names(postgres: &Postgres) -> Vec<String> {
    let found = postgres.idempotent(|connection| {
        Box::pin(async move {
            let names = sqlx::query_scalar("SELECT name FROM notes ORDER BY name");
            Ok(names.fetch_all(connection).await?)
        })
    });
    found.await.unwrap()
}
