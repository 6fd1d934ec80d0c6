//! Columns by name, from either database's rows.

use harombe_sql::Error;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

/// A row, whichever database it is from.
pub(super) trait Columns {
    fn text(&self, column: &str) -> Result<&str, Error>;
    fn optional_text(&self, column: &str) -> Result<Option<&str>, Error>;
    /// What people write.
    fn free_text(&self, column: &str) -> Result<&str, Error>;
    fn bytes(&self, column: &str) -> Result<&[u8], Error>;
    fn integer(&self, column: &str) -> Result<i64, Error>;
    fn optional_integer(&self, column: &str) -> Result<Option<i64>, Error>;
    fn flag(&self, column: &str) -> Result<bool, Error>;
}

/// The columns that both databases hold alike.
macro_rules! alike {
    () => {
        fn text(&self, column: &str) -> Result<&str, Error> {
            Ok(self.try_get(column)?)
        }

        fn optional_text(&self, column: &str) -> Result<Option<&str>, Error> {
            Ok(self.try_get(column)?)
        }

        fn bytes(&self, column: &str) -> Result<&[u8], Error> {
            Ok(self.try_get(column)?)
        }

        fn integer(&self, column: &str) -> Result<i64, Error> {
            Ok(self.try_get(column)?)
        }

        fn optional_integer(&self, column: &str) -> Result<Option<i64>, Error> {
            Ok(self.try_get(column)?)
        }

        fn flag(&self, column: &str) -> Result<bool, Error> {
            Ok(self.try_get(column)?)
        }
    };
}

impl Columns for SqliteRow {
    alike!();

    fn free_text(&self, column: &str) -> Result<&str, Error> {
        self.text(column)
    }
}

impl Columns for PgRow {
    alike!();

    fn free_text(&self, column: &str) -> Result<&str, Error> {
        std::str::from_utf8(self.bytes(column)?).map_err(Error::handler)
    }
}
