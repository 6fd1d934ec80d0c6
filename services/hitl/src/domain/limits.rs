//! The bounds that a grant carries: what the call asks for, else the default, and never above the maximum.

use std::time::Duration;

use harombe_canonical::CanonicalCall;
use harombe_grant::Limits;
use serde_json::Value;

use crate::Error;

const MIB: u64 = 1 << 20;

/// Defaults and maxima for grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitPolicy {
    pub time: Duration,
    pub max_time: Duration,
    pub memory_bytes: u64,
    pub max_memory_bytes: u64,
    pub cpu_millis: u32,
    pub processes: u32,
    pub output_bytes: u64,
    /// Connections of a call to the web.
    pub connections: u32,
    /// Bytes of a call to the web, both ways.
    pub transfer_bytes: u64,
}

impl LimitPolicy {
    /// The bounds for `call`.
    ///
    /// # Errors
    /// The call asks for more than the maximum.
    pub fn for_call(&self, call: &CanonicalCall) -> Result<Limits, Error> {
        match call.tool() {
            "code_execute" => Ok(Limits {
                time_ms: Some(millis(self.time_of(call.args())?)),
                memory_bytes: Some(self.memory_of(call.args())?),
                cpu_millis: Some(self.cpu_millis),
                processes: Some(self.processes),
                output_bytes: Some(self.output_bytes),
                ..Limits::default()
            }),
            "web_fetch" | "web_search" => Ok(Limits {
                time_ms: Some(millis(self.time)),
                output_bytes: Some(self.transfer_bytes),
                connections: Some(self.connections),
                transfer_bytes: Some(self.transfer_bytes),
                ..Limits::default()
            }),
            _ => Ok(Limits {
                time_ms: Some(millis(self.time)),
                ..Limits::default()
            }),
        }
    }

    fn time_of(&self, args: &Value) -> Result<Duration, Error> {
        match whole(args, "timeout_s") {
            Some(seconds) if seconds > self.max_time.as_secs() => Err(Error::Limit {
                what: "timeout_s",
                most: self.max_time.as_secs(),
            }),
            Some(seconds) => Ok(Duration::from_secs(seconds)),
            None => Ok(self.time),
        }
    }

    fn memory_of(&self, args: &Value) -> Result<u64, Error> {
        match whole(args, "memory_mb") {
            Some(mebibytes) if mebibytes > self.max_memory_bytes / MIB => Err(Error::Limit {
                what: "memory_mb",
                most: self.max_memory_bytes / MIB,
            }),
            Some(mebibytes) => Ok(mebibytes * MIB),
            None => Ok(self.memory_bytes),
        }
    }
}

fn whole(args: &Value, name: &str) -> Option<u64> {
    args.get(name).and_then(Value::as_u64)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
