//! Moments and memories in words.

use harombe_proto::memory::v1::{Memory, MemoryKind, RecallMeans};
use jiff::Timestamp;
use tonic::{Code, Status};

use super::Error;
use crate::terminal::ago;

/// How long ago a moment was, of which the seconds since 1970 are given.
pub(super) fn since(seconds: Option<i64>) -> String {
    let then = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    then.map_or_else(String::new, |then| ago(then, Timestamp::now()))
}

/// When a moment comes.
pub(super) fn until(seconds: Option<i64>) -> String {
    let then = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    then.map_or_else(
        || "later".to_owned(),
        |then| then.strftime("on %Y-%m-%d at %H:%M UTC").to_string(),
    )
}

pub(super) fn kind(memory: &Memory) -> &'static str {
    match MemoryKind::try_from(memory.kind).unwrap_or_default() {
        MemoryKind::Turn => "turn",
        MemoryKind::Fact => "fact",
        MemoryKind::Summary => "summary",
        MemoryKind::Unspecified => "memory",
    }
}

/// What a person should know of how a search was done.
pub(super) const fn by_means(means: RecallMeans) -> Option<&'static str> {
    match means {
        RecallMeans::Hybrid | RecallMeans::Unspecified => None,
        RecallMeans::Lexical => Some("found by words alone: no embedding model is configured"),
        RecallMeans::Degraded => Some("found by words alone: vectors are out of reach at the moment"),
    }
}

/// Why memories could not be had.
pub(super) fn of_memories(status: Status) -> Error {
    if status.code() == Code::Unimplemented {
        let told = "this server gives nobody a way to memories; bring it up to this program's version";
        return Error::Usage(told.to_owned());
    }
    status.into()
}
