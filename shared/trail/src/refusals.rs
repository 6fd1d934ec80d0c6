//! Refused calls: the first is recorded at once, those like it in the next ten seconds together, as one event.

use std::collections::HashMap;
use std::time::Duration;

use harombe_error::Reason;
use harombe_types::{ServiceName, Tenant, Timestamp};
use parking_lot::Mutex;
use serde_json::json;

use crate::{Event, Kind, Outcome};

/// One event per caller, method and reason in this time (CONTRACTS §5).
pub const WINDOW: Duration = Duration::from_secs(10);

/// Methods and reasons are closed lists and callers are services, so there are few keys.
type Key = (Option<ServiceName>, String, Reason);

#[derive(Debug)]
pub(crate) struct Windows {
    /// Whose log says that a call was refused before any tenant was established.
    pub(crate) operator: Tenant,
    open: Mutex<HashMap<Key, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Timestamp,
    /// Refusals since then that no event has counted.
    uncounted: u64,
}

impl Windows {
    pub(crate) fn new(operator: Tenant) -> Self {
        Self {
            operator,
            open: Mutex::default(),
        }
    }

    /// Counts a refusal; the event to record when it is the first of its window.
    pub(crate) fn refused(&self, key: Key, now: Timestamp) -> Option<Event> {
        let mut windows = self.open.lock();
        match windows.get_mut(&key) {
            Some(window) => {
                window.uncounted += 1;
                None
            }
            None => {
                let event = self.event(&key, 1, now);
                windows.insert(
                    key,
                    Window {
                        since: now,
                        uncounted: 0,
                    },
                );
                Some(event)
            }
        }
    }

    /// Events for the windows that have ended, or for `all` of them.
    pub(crate) fn due(&self, now: Timestamp, all: bool) -> Vec<Event> {
        let mut due = Vec::new();
        self.open.lock().retain(|key, window| {
            let ended = all || window.since.plus(WINDOW) <= now || now < window.since;
            if !ended {
                return true;
            }
            if window.uncounted == 0 {
                return false;
            }
            due.push(self.event(key, window.uncounted, now));
            // What was counted now must not be followed by another event within ten seconds.
            *window = Window {
                since: now,
                uncounted: 0,
            };
            true
        });
        due
    }

    fn event(&self, (caller, method, reason): &Key, count: u64, now: Timestamp) -> Event {
        let details = json!({
            "caller": caller.map(ServiceName::as_str),
            "method": method,
            "reason": reason.as_str(),
            "count": count,
        });
        Event::new(Kind::RpcRefused, &self.operator)
            .outcome(Outcome::Denied)
            .at(now)
            .details(details)
    }
}
