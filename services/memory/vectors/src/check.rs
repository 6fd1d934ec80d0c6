//! What both adapters refuse before they do anything.

use uuid::Uuid;

use crate::{Collection, Error, Hit, Point};

pub(crate) const MOST_POINTS: usize = 1_000;
pub(crate) const MOST_HITS: u32 = 10_000;
const MOST_NUMBERS: u32 = 8_192;
const LONGEST_NAME: usize = 64;
const LONGEST_TAG: usize = 256;

pub(crate) fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(known)
}

pub(crate) fn name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "a collection's name is 1 to {LONGEST_NAME} of a-z, 0-9 and -"
    )))
}

pub(crate) fn collection(collection: &Collection) -> Result<(), Error> {
    name(&collection.name)?;
    if (1..=MOST_NUMBERS).contains(&collection.dimension) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "vectors have 1 to {MOST_NUMBERS} numbers, not {}",
        collection.dimension
    )))
}

pub(crate) fn points(collection: &Collection, points: &[Point]) -> Result<(), Error> {
    self::collection(collection)?;
    many(points.len())?;
    for point in points {
        vector(collection, &point.vector)?;
        let tags = &point.tags;
        for (name, tag) in [
            ("tenant", &tags.tenant),
            ("subject", &tags.subject),
            ("agent", &tags.agent),
        ] {
            if tag.len() > LONGEST_TAG {
                return Err(Error::Invalid(format!(
                    "a point's {name} has at most {LONGEST_TAG} bytes"
                )));
            }
        }
        if i64::try_from(tags.seq).is_err() {
            return Err(Error::Invalid("a point's seq is past 2^63".to_owned()));
        }
    }
    Ok(())
}

pub(crate) fn ids(collection: &Collection, ids: &[Uuid]) -> Result<(), Error> {
    self::collection(collection)?;
    many(ids.len())
}

fn many(points: usize) -> Result<(), Error> {
    if points <= MOST_POINTS {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "at most {MOST_POINTS} points at once, not {points}"
    )))
}

pub(crate) fn limit(limit: u32) -> Result<(), Error> {
    if limit <= MOST_HITS {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "at most {MOST_HITS} at once, not {limit}"
    )))
}

/// Refuses what cannot be compared: a number that is none, or a length past what a float holds.
pub(crate) fn vector(collection: &Collection, vector: &[f32]) -> Result<(), Error> {
    if u32::try_from(vector.len()) != Ok(collection.dimension) {
        return Err(Error::Invalid(format!(
            "a vector of {} numbers; those of {} have {}",
            vector.len(),
            collection.name,
            collection.dimension
        )));
    }
    let square: f32 = vector.iter().map(|number| number * number).sum();
    if square.is_finite() {
        return Ok(());
    }
    Err(Error::Invalid(
        "a vector has numbers that are infinite, too large, or none".to_owned(),
    ))
}

/// Best first, and by id among equals, so that the same search has one answer.
pub(crate) fn ordered(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    hits
}

/// The smallest id after this one.
pub(crate) fn next(id: Uuid) -> Option<Uuid> {
    id.as_u128().checked_add(1).map(Uuid::from_u128)
}
