//! Between rows and the domain's values, the same for every database. A row that does not read back is damage, never a
//! guess.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use harombe_sql::UnitError;
use harombe_types::Timestamp;
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::Error;
use crate::domain::key::{Bearer, Key, KeyLimits, Revocation};
use crate::domain::secret::Digest;

const SEPARATOR: char = ',';

/// Words that hold no comma, as one column.
pub(super) fn joined<T: Display>(items: &BTreeSet<T>) -> String {
    let words: Vec<_> = items.iter().map(ToString::to_string).collect();
    words.join(",")
}

/// That a change met its key.
pub(super) fn found(changed: u64) -> Result<(), UnitError<Error>> {
    if changed == 0 {
        return Err(UnitError::Refused(Error::NoSuchKey));
    }
    Ok(())
}

fn split<T: FromStr + Ord>(text: &str, column: &'static str) -> Result<BTreeSet<T>, Error> {
    let words = text.split(SEPARATOR).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_err(|_| Error::Stored(column)))
        .collect()
}

fn parsed<T: FromStr>(text: &str, column: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Stored(column))
}

fn limit(value: i64, column: &'static str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::Stored(column))
}

/// A row of `keys`.
pub(super) fn key<'r, R>(row: &'r R) -> Result<Key, Error>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
{
    let text = |column: &'static str| row.try_get::<&'r str, _>(column).map_err(Error::row);
    let number = |column: &'static str| row.try_get::<i64, _>(column).map_err(Error::row);
    let digest: &[u8] = row.try_get("digest").map_err(Error::row)?;
    let expires_at: Option<i64> = row.try_get("expires_at").map_err(Error::row)?;
    let bearer = Bearer {
        tenant: parsed(text("tenant")?, "tenant")?,
        name: text("name")?.to_owned(),
        subject: parsed(text("subject")?, "subject")?,
        roles: split(text("roles")?, "roles")?,
        agents: split(text("agents")?, "agents")?,
        allow_self: row.try_get("allow_self").map_err(Error::row)?,
        limits: KeyLimits {
            requests_per_second: limit(number("requests_per_second")?, "requests_per_second")?,
            burst: limit(number("burst")?, "burst")?,
            streams: limit(number("streams")?, "streams")?,
            messages_per_day: limit(number("messages_per_day")?, "messages_per_day")?,
        },
        expires_at: expires_at.map(Timestamp::from_millis),
    };
    Ok(Key {
        id: parsed(text("key_id")?, "key_id")?,
        digest: Digest::try_from(digest).map_err(|_| Error::Stored("digest"))?,
        bearer,
        created_at: Timestamp::from_millis(number("created_at")?),
        created_by: text("created_by")?.to_owned(),
        revoked: revocation(row)?,
    })
}

fn revocation<'r, R>(row: &'r R) -> Result<Option<Revocation>, Error>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
{
    let at: Option<i64> = row.try_get("revoked_at").map_err(Error::row)?;
    let Some(at) = at else { return Ok(None) };
    let by: Option<&str> = row.try_get("revoked_by").map_err(Error::row)?;
    let event: Option<&str> = row.try_get("revocation_event").map_err(Error::row)?;
    Ok(Some(Revocation {
        at: Timestamp::from_millis(at),
        by: parsed(by.unwrap_or_default(), "revoked_by")?,
        event: parsed(event.unwrap_or_default(), "revocation_event")?,
        recorded: row.try_get("revocation_recorded").map_err(Error::row)?,
    }))
}
