//! What may be asked of recall, and what it answers.

use std::collections::HashSet;

use harombe_retrieval::{Part, Ranked};
use harombe_types::SessionId;
use uuid::Uuid;

use crate::domain::{Memory, MemoryFilter};
use crate::error::Error;

/// The longest query, in bytes.
pub(crate) const QUERY_MAX: usize = 8 * 1024;
const LIMIT_DEFAULT: u32 = 10;
const LIMIT_MAX: u32 = 100;
const SESSIONS_MAX: usize = 64;

/// A question to the owner's memories.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) query: String,
    /// 0 means 10, the most is 100.
    pub(crate) limit: u32,
    pub(crate) filter: MemoryFilter,
    /// Whether each hit says what its score is made of.
    pub(crate) explain: bool,
}

impl Ask {
    /// How many hits are wanted.
    ///
    /// # Errors
    /// The query is empty or too long, or too much is asked for.
    pub(crate) fn check(&self) -> Result<usize, Error> {
        if self.query.trim().is_empty() {
            return Err(Error::Invalid("query must not be empty".to_owned()));
        }
        if self.query.len() > QUERY_MAX {
            return Err(Error::Invalid(format!(
                "query has {} bytes; it has at most {QUERY_MAX}",
                self.query.len()
            )));
        }
        let limit = match self.limit {
            0 => LIMIT_DEFAULT,
            limit if limit <= LIMIT_MAX => limit,
            limit => {
                return Err(Error::Invalid(format!(
                    "limit is {limit}; the most is {LIMIT_MAX}"
                )));
            }
        };
        if self.filter.sessions.len() > SESSIONS_MAX {
            return Err(Error::Invalid(format!(
                "filter.session_ids are {}; the most are {SESSIONS_MAX}",
                self.filter.sessions.len()
            )));
        }
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }
}

/// How a search was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// By words and by meaning.
    Hybrid,
    /// By words alone: no embedding model is configured.
    Lexical,
    /// By words alone: vectors or embeddings are out of reach.
    Degraded,
}

impl Means {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Lexical => "lexical",
            Self::Degraded => "degraded",
        }
    }
}

/// What a search ranked, best first; the memories themselves are still to be fetched.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) ranked: Vec<Ranked>,
    pub(crate) means: Means,
}

/// What need not be found, because it is shown anyway.
#[derive(Debug, Default)]
pub(crate) struct ShownAnyway {
    /// Turns of these runs.
    pub(crate) runs: Vec<String>,
    /// Turns that a client brought along to this session.
    pub(crate) claimed_in: Option<SessionId>,
    /// These very memories.
    pub(crate) points: HashSet<Uuid>,
}

/// A memory that was found.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) memory: Memory,
    /// Higher is better; only comparable within one answer.
    pub(crate) score: f64,
    /// What the score is made of, if that was asked for.
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug)]
pub(crate) struct Recalled {
    /// Best first.
    pub(crate) hits: Vec<Hit>,
    pub(crate) means: Means,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: String, limit: u32) -> Result<usize, Error> {
        let (filter, explain) = (MemoryFilter::default(), false);
        Ask {
            query,
            limit,
            filter,
            explain,
        }
        .check()
    }

    #[test]
    fn a_query_has_words_and_bounds() {
        assert_eq!(ask("where".into(), 0).unwrap(), 10);
        assert_eq!(ask("x".repeat(QUERY_MAX), 100).unwrap(), 100);
        for (query, limit) in [
            (" \n".to_owned(), 1),
            ("x".repeat(QUERY_MAX + 1), 1),
            ("where".into(), 101),
        ] {
            assert!(matches!(ask(query, limit), Err(Error::Invalid(_))));
        }
    }
}
