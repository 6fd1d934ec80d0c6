//! What each service costs when nobody calls: how long it takes to start, and the memory that it holds afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harombe::compose::Config;
use serde_json::{Map, Value, json};

use super::Result;
use crate::cluster::Cluster;
use crate::measure::{Report, micros, nanos, quantile};
use crate::usage::Usages;
use crate::{Plan, raw};

/// From the last start to the look at the memory: what a start leaves to do is done by then.
const SETTLE: Duration = Duration::from_secs(3);

/// Starts all services again and again until the time is up, at least once.
pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let mut starts: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    let probe = tempfile::Builder::new().prefix("harombe-load-").tempdir()?;
    let fdatasync = raw::fdatasync_p50_us(probe.path())?;
    let began = Instant::now();
    let usages = loop {
        let dir = tempfile::Builder::new().prefix("harombe-load-").tempdir()?;
        let cluster = Cluster::start(&plan.program, dir.path(), Config::default()).await?;
        for instance in cluster.instances() {
            let times = starts.entry(instance.service.as_str()).or_default();
            times.push(nanos(instance.ready_after));
        }
        tokio::time::sleep(SETTLE).await;
        let usages = Usages::of(&cluster)?;
        cluster.stop().await;
        if began.elapsed() >= plan.time {
            break usages;
        }
    };
    let all: Vec<_> = starts.values().flatten().copied().collect();
    Ok(Report::of(all, began.elapsed())
        .with("start_p50_ms", of_each(&mut starts, 0.5))
        .with("start_max_ms", of_each(&mut starts, 1.0))
        .with("pss_mib", usages.pss())
        .with("private_mib", usages.private())
        .with("fdatasync_p50_us", fdatasync))
}

fn of_each(starts: &mut BTreeMap<&'static str, Vec<u64>>, share: f64) -> Value {
    let figures = starts.iter_mut().map(|(service, times)| {
        times.sort_unstable();
        let millis = micros(quantile(times, share)) / 1000.0;
        ((*service).to_owned(), json!((millis * 10.0).round() / 10.0))
    });
    Value::Object(figures.collect::<Map<_, _>>())
}
