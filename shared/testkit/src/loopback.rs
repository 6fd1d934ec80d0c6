//! Addresses for servers that a test starts, stops and starts again at the same place.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};

/// Addresses given out by this process so far.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// An address of the loopback network (RFC 1122, 3.2.1.3) that nobody else has at the same time, neither in this process
/// nor in another: a server may take any port of it, and finds it free again. A port of 127.0.0.1 that was free a moment
/// ago may meanwhile be the near end of somebody's connection.
#[must_use]
pub fn loopback() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let [_, nth] = (GIVEN.fetch_add(1, Ordering::Relaxed) % 128).to_be_bytes();
    Ipv4Addr::new(127, 64 + nth, high, low)
}
