//! The body of a response, piece by piece, cut at its budget.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::fetch::FetchError;

/// A body that is being read. Dropping it closes the connection.
#[derive(Debug)]
pub struct Body {
    /// Read before the connection's task ends; dropped with it.
    incoming: Incoming,
    _connection: AbortOnDropHandle<()>,
    left: u64,
    received: u64,
    truncated: bool,
    idle: Duration,
    deadline: Instant,
}

impl Body {
    pub(super) fn new(
        incoming: Incoming,
        connection: AbortOnDropHandle<()>,
        max_bytes: u64,
        idle: Duration,
        deadline: Instant,
    ) -> Self {
        Self {
            incoming,
            _connection: connection,
            left: max_bytes,
            received: 0,
            truncated: false,
            idle,
            deadline,
        }
    }

    /// The next piece; `None` at the end of the body or of its budget. Trailers are dropped.
    ///
    /// # Errors
    /// The peer broke off, or a time limit was reached.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.truncated {
            let until = self.deadline.min(Instant::now() + self.idle);
            let frame = timeout_at(until, self.incoming.frame())
                .await
                .map_err(|_| FetchError::TimeLimit)?;
            let Some(frame) = frame else { return Ok(None) };
            let Ok(mut data) = frame.map_err(FetchError::Exchange)?.into_data() else {
                continue;
            };
            let budget = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.truncated = data.len() > budget;
            data.truncate(budget);
            let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.left = self.left.saturating_sub(length);
            self.received = self.received.saturating_add(length);
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Was the body longer than its budget?
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Bytes returned so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}
