//! Calls that get lost on their way, as many as the test says.

use std::collections::HashMap;

use harombe_rpc::Tap;
use parking_lot::Mutex;
use tonic::Status;

use crate::doubles::unavailable;

#[derive(Default)]
pub(crate) struct Flaky(Mutex<HashMap<&'static str, usize>>);

impl Flaky {
    /// The next `times` calls of the method fail before they reach anybody.
    pub(crate) fn lose(&self, method: &'static str, times: usize) {
        self.0.lock().insert(method, times);
    }

    /// How many of them are still to come.
    pub(crate) fn left(&self, method: &'static str) -> usize {
        self.0.lock().get(method).copied().unwrap_or_default()
    }
}

impl Tap for Flaky {
    fn before(&self, method: &str) -> Result<u64, Status> {
        match self.0.lock().get_mut(method) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(unavailable())
            }
            _ => Ok(0),
        }
    }

    fn after(&self, _: u64) {}
}
