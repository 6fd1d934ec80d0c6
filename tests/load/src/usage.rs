//! What the kernel says that each process of a cluster uses.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, Instance};
use crate::what::Result;

/// What one process uses.
struct Usage {
    /// Resident memory, where what processes share counts in parts (proc_pid_smaps(5)), and what is not shared, in KiB.
    pss: u64,
    private: u64,
    /// Processor time since its start.
    busy: Duration,
}

/// All processes of a cluster at one moment.
pub(crate) struct Usages(Vec<(&'static str, Usage)>);

impl Usages {
    pub(crate) fn of(cluster: &Cluster) -> Result<Self> {
        let instances = cluster.instances().iter();
        let all = instances.map(|instance| Ok((instance.service.as_str(), Usage::of(instance)?)));
        all.collect::<Result<_>>().map(Self)
    }

    /// MiB by service.
    pub(crate) fn pss(&self) -> Value {
        self.each(|usage| mib(usage.pss))
    }

    /// MiB by service.
    pub(crate) fn private(&self) -> Value {
        self.each(|usage| mib(usage.private))
    }

    /// Per cent of one core by service, `since` those that were taken so long ago.
    pub(crate) fn cpu(&self, since: &Self, ago: Duration) -> Value {
        let pairs = self.0.iter().zip(&since.0);
        let shares = pairs.map(|((service, now), (_, then))| {
            let busy = now.busy.saturating_sub(then.busy).as_secs_f64();
            let share = (1000.0 * busy / ago.as_secs_f64()).round() / 10.0;
            ((*service).to_owned(), json!(share))
        });
        Value::Object(shares.collect::<Map<_, _>>())
    }

    fn each(&self, figure: impl Fn(&Usage) -> f64) -> Value {
        let figures = self.0.iter();
        let figures = figures.map(|(service, usage)| ((*service).to_owned(), json!(figure(usage))));
        Value::Object(figures.collect::<Map<_, _>>())
    }
}

impl Usage {
    fn of(instance: &Instance) -> Result<Self> {
        let rollup = instance.proc("smaps_rollup")?;
        Ok(Self {
            pss: kib(&rollup, "Pss:")?,
            private: kib(&rollup, "Private_Clean:")? + kib(&rollup, "Private_Dirty:")?,
            busy: busy(&instance.proc("stat")?).ok_or("/proc/PID/stat has another form")?,
        })
    }
}

fn kib(rollup: &str, key: &str) -> Result<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.ok_or("/proc/PID/smaps_rollup has another form")?.parse()?)
}

/// User and system time: fields 14 and 15 (proc_pid_stat(5)), counted after the name, which may hold spaces.
fn busy(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis((user + system) * 1000 / ticks))
}

fn mib(kib: u64) -> f64 {
    (kib as f64 / 102.4).round() / 10.0
}
