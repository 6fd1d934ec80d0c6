//! The body of a response, piece by piece, without secrets and cut at its budget.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::domain::clean::Clean;
use crate::fetch::FetchError;

/// A body that is being read. Dropping it closes the connection.
#[derive(Debug)]
pub struct Body {
    /// Read before the connection's task ends; dropped with it.
    incoming: Incoming,
    _connection: AbortOnDropHandle<()>,
    clean: Clean,
    received: u64,
    ended: bool,
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
            clean: Clean::new(max_bytes),
            received: 0,
            ended: false,
            idle,
            deadline,
        }
    }

    /// The next piece that may be passed on; `None` at the end of the body or of its budget. Trailers are dropped.
    ///
    /// # Errors
    /// The peer broke off, or a time limit was reached. What was not certain by then is not passed on.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.ended && !self.clean.is_cut() {
            let until = self.deadline.min(Instant::now() + self.idle);
            let frame = timeout_at(until, self.incoming.frame())
                .await
                .map_err(|_| FetchError::TimeLimit)?;
            let piece = match frame {
                None => {
                    self.ended = true;
                    self.clean.end()
                }
                Some(frame) => match frame.map_err(FetchError::Exchange)?.into_data() {
                    Err(_) => continue,
                    Ok(data) => {
                        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                        self.received = self.received.saturating_add(length);
                        self.clean.piece(&data)
                    }
                },
            };
            if !piece.is_empty() {
                return Ok(Some(Bytes::from(piece)));
            }
        }
        Ok(None)
    }

    /// Was the body longer than its budget?
    pub fn truncated(&self) -> bool {
        self.clean.is_cut()
    }

    /// How many secrets of each kind were replaced so far.
    pub fn redactions(&self) -> &BTreeMap<&'static str, u64> {
        self.clean.redactions()
    }

    /// Bytes that came from the peer so far; a little more than the budget, where the body is longer.
    pub fn received(&self) -> u64 {
        self.received
    }
}
