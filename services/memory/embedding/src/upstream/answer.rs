//! What an upstream may answer: one vector for each text, of the right dimension, of numbers; all else is an error.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Deserialize;

use crate::Error;
use crate::port::normalise;

/// Characters of a refusal that are told.
const TOLD: usize = 300;
/// Longest wait that an upstream may ask for.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

/// The vectors in an answer for `count` texts, in their order, each at length 1.
pub(super) fn read(
    response: &http::Response<Bytes>,
    count: usize,
    dimension: u32,
) -> Result<Vec<Vec<f32>>, Error> {
    if response.status() != StatusCode::OK {
        return Err(refusal(response));
    }
    let wrong = |why: String| Error::Answer { why };
    let answer: Answer = serde_json::from_slice(response.body())
        // the parser's text repeats what it met; its place is enough
        .map_err(|error| wrong(format!("it is no list of vectors (line {}, column {})", error.line(), error.column())))?;
    if answer.data.len() != count {
        return Err(wrong(format!(
            "it has {} vectors for {count} texts",
            answer.data.len()
        )));
    }
    let mut vectors = vec![Vec::new(); count];
    for Item { index, mut embedding } in answer.data {
        let place = vectors.get_mut(index).filter(|place| place.is_empty());
        let place =
            place.ok_or_else(|| wrong(format!("vector {index} is there twice, or was not asked for")))?;
        if u32::try_from(embedding.len()) != Ok(dimension) {
            return Err(wrong(format!(
                "a vector has {} numbers, not {dimension}",
                embedding.len()
            )));
        }
        if !normalise(&mut embedding) {
            return Err(wrong("a vector has no length".to_owned()));
        }
        *place = embedding;
    }
    Ok(vectors)
}

fn refusal(response: &http::Response<Bytes>) -> Error {
    let status = response.status();
    let told = || {
        let text = String::from_utf8_lossy(response.body());
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        text.chars()
            .take(TOLD)
            .map(plain)
            .collect::<String>()
            .trim()
            .to_owned()
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY => Error::Overloaded {
            status: status.as_u16(),
            after: retry_after(response),
        },
        status if status.is_server_error() => Error::Failed {
            status: status.as_u16(),
            told: told(),
        },
        status => Error::Refused {
            status: status.as_u16(),
            told: told(),
        },
    }
}

/// The header's seconds; a date is not followed, as clocks differ.
fn retry_after(response: &http::Response<Bytes>) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}
