//! What the machine itself can do, measured in the same run.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::measure::{micros, nanos, quantile};

const PROBES: usize = 200;

/// The median time of an appended 4 KiB page and its fdatasync in that directory, in microseconds.
pub(crate) fn fdatasync_p50_us(dir: &Path) -> io::Result<f64> {
    let mut file = File::create(dir.join("fdatasync-probe"))?;
    let page = [0x5a_u8; 4096];
    let mut times = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let began = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(nanos(began.elapsed()));
    }
    times.sort_unstable();
    Ok(micros(quantile(&times, 0.5)))
}

/// How many tasks of the whole machine ran or waited to run, on average over the minute before.
pub(crate) fn load_average() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| io::Error::other("/proc/loadavg has another form"))
}
