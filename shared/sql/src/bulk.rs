//! Inserting many rows with few statements whose texts repeat, so that each is prepared once.

use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use crate::Error;

/// Rows per statement, largest first. Any number of rows is a sum of these.
const SIZES: [usize; 4] = [128, 32, 8, 1];

/// A statement of the form `INSERT INTO t (a, b) VALUES (?, ?), …`, prepared for a few numbers of rows.
#[derive(Debug, Clone)]
pub struct BulkInsert {
    statements: [Arc<str>; SIZES.len()],
}

impl BulkInsert {
    /// `head` is everything before `VALUES`, for instance `INSERT INTO entries (idx, body)`;
    /// `columns` is the number of values in a row (at most 255, by SQLite's limit on parameters).
    pub fn new(head: &'static str, columns: u8) -> Self {
        let row = format!("({})", vec!["?"; usize::from(columns)].join(","));
        let statements =
            SIZES.map(|rows| Arc::from(format!("{head} VALUES {}", vec![row.as_str(); rows].join(","))));
        Self { statements }
    }

    /// Inserts the rows; `bind` adds one row's values in the order of the columns.
    ///
    /// # Errors
    /// The first statement that fails; earlier ones stay in the open transaction.
    pub async fn insert<R, B>(
        &self,
        tx: &mut SqliteConnection,
        rows: impl IntoIterator<Item = R, IntoIter: ExactSizeIterator>,
        mut bind: B,
    ) -> Result<(), Error>
    where
        B: for<'q> FnMut(Query<'q, Sqlite, SqliteArguments>, R) -> Query<'q, Sqlite, SqliteArguments>,
    {
        let mut rows = rows.into_iter();
        for (size, statement) in SIZES.into_iter().zip(&self.statements) {
            while rows.len() >= size {
                let query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
                let query = rows.by_ref().take(size).fold(query, &mut bind);
                query.execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
}
