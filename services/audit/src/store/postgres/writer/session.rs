//! The connection whose life is the writer's term: it holds the lock, and the server ends it when the writer falls silent.

use std::time::Duration;

use harombe_sql::Postgres;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::{sleep, timeout};

/// The lock of the log's writer. Locks belong to a database, and a database has one log. Any constant of ours.
const WRITER_LOCK: i64 = 0x6861_726f_6175_6469;
/// How often the lock is tried for.
const RETRY: Duration = Duration::from_millis(300);
/// Before an instance that could not take up the log stands again: another one may be able to.
pub(super) const RETRY_DAMAGED: Duration = Duration::from_secs(5);
/// How long connecting, the lock and a heartbeat may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The server ends a session that is silent for longer than its heartbeats allow, that it cannot reach, or whose
/// statement hangs: so a writer that stopped, or is cut off, does not keep the lock.
const TERMS: [(&str, &str); 6] = [
    ("idle_session_timeout", "8s"),
    ("statement_timeout", "12s"),
    ("tcp_user_timeout", "8s"),
    ("tcp_keepalives_idle", "3"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "2"),
];

/// Waits for the lock, however long that takes and however often the server is gone meanwhile.
pub(super) async fn elect(database: &Postgres) -> PgConnection {
    let mut standing = None;
    let mut is_warned = false;
    loop {
        match timeout(PATIENCE, attempt(database, &mut standing)).await {
            Ok(Ok(true)) => {
                if let Some(session) = standing.take() {
                    return session;
                }
            }
            Ok(Ok(false)) => is_warned = false,
            failed => {
                standing = None;
                if !std::mem::replace(&mut is_warned, true) {
                    let error = failed
                        .err()
                        .map_or_else(String::new, |elapsed| elapsed.to_string());
                    tracing::warn!(
                        error,
                        "no session to stand for election of the audit log's writer"
                    );
                }
            }
        }
        sleep(RETRY).await;
    }
}

/// Tries for the lock once, on the connection that is kept for it.
async fn attempt(database: &Postgres, standing: &mut Option<PgConnection>) -> Result<bool, sqlx::Error> {
    let session = match standing {
        Some(session) => session,
        None => {
            let options = (*database.pool().connect_options()).clone().options(TERMS);
            standing.insert(options.connect().await?)
        }
    };
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(WRITER_LOCK)
        .fetch_one(session)
        .await
}

/// Whether the session, and with it the lock, is still there.
pub(super) async fn is_alive(session: &mut PgConnection) -> bool {
    let answered = timeout(PATIENCE, sqlx::query("SELECT 1").execute(session)).await;
    matches!(answered, Ok(Ok(_)))
}

/// Gives the lock up at once.
pub(super) async fn release(session: PgConnection) {
    if !matches!(timeout(PATIENCE, session.close()).await, Ok(Ok(()))) {
        tracing::debug!("the writer's session was already gone");
    }
}
