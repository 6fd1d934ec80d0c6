//! The risk rules alone: the committed mix of calls, over and over, on one core.

use std::hint::black_box;
use std::time::{Duration, Instant};

use harombe_hitl::risk::{HostSet, RuleSet, mix};

use super::Result;
use crate::measure::{Report, nanos};
use crate::{Plan, raw};

pub(super) fn measure(plan: &Plan) -> Result<Report> {
    if plan.concurrency != 1 {
        return Err("classify is measured on one core; leave --concurrency out".into());
    }
    let rules = RuleSet::defaults(HostSet::new(["docs.python.org"]).map_err(|bad| bad.join(", "))?)?;
    let calls = mix()?;
    let mut sizes: Vec<_> = calls.iter().map(|call| call.args.to_string().len()).collect();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);

    // A single call takes less than reading the clock: one pass over the mix is one sample.
    let pass = || {
        let began = Instant::now();
        for call in &calls {
            black_box(rules.classify(&call.tool, black_box(&call.args)).risk());
        }
        began.elapsed()
    };
    let warm = Instant::now();
    while warm.elapsed() < plan.warmup {
        pass();
    }
    let mut latencies = Vec::new();
    let mut busy = Duration::ZERO;
    while busy < plan.time {
        let took = pass();
        busy += took;
        let each = nanos(took) / calls.len() as u64;
        latencies.extend(std::iter::repeat_n(each, calls.len()));
    }
    let dir = tempfile::tempdir()?;
    Ok(Report::of(latencies, busy)
        .with("fdatasync_p50_us", raw::fdatasync_p50_us(dir.path())?)
        .with("calls_in_mix", calls.len())
        .with("arg_bytes_p50", median))
}
