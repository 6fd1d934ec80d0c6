//! Measures classification on one core over the committed mix: `cargo run --release -p harombe-hitl --example classify`.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use harombe_hitl::risk::{HostSet, RuleSet, mix};

const ROUNDS: u32 = 5;
const ROUND: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trusted = HostSet::new(["docs.python.org"]).map_err(|bad| bad.join(", "))?;
    let rules = RuleSet::defaults(trusted)?;
    let calls = mix()?;
    let mut bytes = calls
        .iter()
        .map(|call| call.args.to_string().len())
        .collect::<Vec<_>>();
    bytes.sort_unstable();
    let median = bytes.get(bytes.len() / 2).copied().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut classified = 0_u32;
        while start.elapsed() < ROUND {
            for _ in 0..100 {
                for call in &calls {
                    black_box(rules.classify(&call.tool, black_box(&call.args)).risk());
                    classified += 1;
                }
            }
        }
        let per_second = f64::from(classified) / start.elapsed().as_secs_f64();
        writeln!(
            out,
            "{per_second:.0} per second, {} calls, {median} bytes in the median",
            calls.len()
        )?;
    }
    if std::env::args().any(|arg| arg == "--each") {
        for call in &calls {
            let start = Instant::now();
            for _ in 0..10_000 {
                black_box(rules.classify(&call.tool, black_box(&call.args)).risk());
            }
            let each = start.elapsed() / 10_000;
            let verdict = rules.classify(&call.tool, &call.args);
            let names: Vec<_> = verdict.rules().map(|rule| rule.name.as_str()).collect();
            writeln!(
                out,
                "{each:>10?} {:>5} {} {}",
                call.args.to_string().len(),
                verdict.risk(),
                names.join(" ")
            )?;
        }
    }
    Ok(())
}
