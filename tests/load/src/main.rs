//! `harombe-load`: measures one thing for a bounded time and prints one line of JSON, with the raw limit of the same machine
//! in the same run beside it.

mod cluster;
mod measure;
mod raw;
mod usage;
mod what;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harombe::attach::Elsewhere;
use harombe::compose::Config;
use harombe_audit::files::PostgresConfig;
use http::Uri;

use what::{Place, What};

/// Measures Harombe. Prints exactly one JSON object on one line; everything else goes to standard error.
#[derive(Debug, Parser)]
#[command(name = "harombe-load", version)]
struct Args {
    /// What to measure
    what: What,
    /// For how long, after the warm-up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=14_400))]
    seconds: u64,
    /// Callers at a time [default: what the target of the figure says]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: Option<u32>,
    /// Seconds before anything is counted
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    warmup: u64,
    /// In this process, in a temporary directory; the default
    #[arg(long, conflicts_with_all = ["target", "processes", "server"])]
    embedded: bool,
    /// Each service in a process of its own, in a temporary directory, with mutual TLS (message)
    #[arg(long, conflicts_with_all = ["target", "server"])]
    processes: bool,
    /// The program that the processes run [default: `harombe` beside this one]
    #[arg(long, value_name = "FILE")]
    harombe: Option<PathBuf>,
    /// The data directory of a server that is running (message, sandbox-run)
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    target: Option<PathBuf>,
    /// The public door of a server that is running somewhere (message, sandbox-run); its key needs limits that are high enough
    #[arg(long, value_name = "URL", requires = "key_file")]
    server: Option<Uri>,
    /// The key to that door
    #[arg(long, value_name = "FILE", requires = "server")]
    key_file: Option<PathBuf>,
    /// Keep what is durable in this database, which must hold nothing of Harombe's yet [default: SQLite]
    #[arg(long, value_name = "URL", conflicts_with_all = ["target", "server"])]
    postgres: Option<String>,
    /// Runs that wait at the same time (idle-runs)
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// Memories of all tenants together (recall) [default: 100000]; or given to the caller before the first message, each of
    /// which asks for some of them (message); a server that is running keeps them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    memories: Option<u32>,
    /// Tenants (recall, remember)
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    tenants: u32,
    /// The folder of the embedding model; without it, memory finds by words alone
    #[arg(long, value_name = "DIR", conflicts_with_all = ["target", "server"])]
    model: Option<PathBuf>,
}

/// More runs than any measurement has at once.
const UNBOUNDED: u32 = 100_000;
/// More memories than any measurement makes.
const UNBOUNDED_MEMORIES: u32 = 10_000_000;

/// The bounds of one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    warmup: Duration,
    time: Duration,
    concurrency: u32,
    place: Place,
    /// What a cluster runs.
    program: PathBuf,
    postgres: Option<PostgresConfig>,
    runs: u32,
    memories: Option<u32>,
    tenants: u32,
    model: Option<PathBuf>,
}

impl Plan {
    /// The defaults, with the stores where the plan says.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        for store in [
            &mut config.gateway.store,
            &mut config.memory.store,
            &mut config.hitl.store,
            &mut config.audit.store,
        ] {
            store.postgres.clone_from(&self.postgres);
        }
        config.memory.embedding.folder.clone_from(&self.model);
        // All that is measured is done in one name.
        config.hitl.limits.pending_per_subject = UNBOUNDED;
        config.hitl.limits.pending_per_tenant = UNBOUNDED;
        config.memory.limits.runs_per_subject = UNBOUNDED;
        config.memory.limits.runs_per_tenant = UNBOUNDED;
        config.memory.limits.memories_per_subject = UNBOUNDED_MEMORIES;
        config.memory.limits.memories_per_tenant = UNBOUNDED_MEMORIES;
        config
    }

    fn of(args: Args) -> std::io::Result<Self> {
        let place = match (args.target, args.server, args.key_file) {
            (Some(data), ..) => Place::Data(data),
            (_, Some(url), key_file) => Place::Door(Elsewhere {
                url,
                key_file,
                ca: None,
            }),
            _ if args.processes => Place::Processes,
            _ => Place::Embedded,
        };
        let program = match args.harombe {
            Some(program) => program,
            None => std::env::current_exe()?.with_file_name("harombe"),
        };
        Ok(Self {
            warmup: Duration::from_secs(args.warmup),
            time: Duration::from_secs(args.seconds),
            concurrency: args.concurrency.unwrap_or_else(|| args.what.concurrency()),
            place,
            program,
            postgres: args.postgres.map(|url| PostgresConfig {
                url,
                ..PostgresConfig::default()
            }),
            runs: args.runs,
            memories: args.memories,
            tenants: args.tenants,
            // processes may look from elsewhere
            model: args.model.map(std::path::absolute).transpose()?,
        })
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let what = args.what;
    let measured = Plan::of(args)
        .map_err(Into::into)
        .and_then(|plan| measured(what, &plan));
    match measured {
        Ok(line) => match writeln!(std::io::stdout(), "{line}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            // Nothing is left to tell it to when standard error is closed.
            let _ = writeln!(std::io::stderr(), "harombe-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(what: What, plan: &Plan) -> what::Result<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let load = raw::load_average()?;
    let report = runtime.block_on(what.measure(plan))?;
    let report = report.with("load_average", load);
    Ok(report.into_json(what.name(), plan.concurrency))
}
