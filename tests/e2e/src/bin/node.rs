//! `harombe-e2e-node`: services in a process that a test may kill. It ends when its standard input closes.

use std::error::Error;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use harombe::compose::{Assembly, Config, ModelSource, Process};
use harombe_e2e::{CountedWire, Counting, CutWire, Outside, RunCalls, Side, SkewedClock, quick};
use harombe_identity::ServiceIdentity;
use harombe_telemetry::{Format, Options};
use harombe_types::{Clock, ServiceName, SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const AUDIT_PORT: u16 = 7406;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The audit service, at an address of which every port is free
    Audit {
        keys: PathBuf,
        data: PathBuf,
        place: Ipv4Addr,
    },
    /// The whole system; at the end it names the calls of the run
    Up {
        data: PathBuf,
        script: PathBuf,
        /// Die at the nth call of the run
        #[arg(long, requires = "side")]
        crash: Option<u64>,
        #[arg(long)]
        side: Option<When>,
    },
    /// One service, as the configuration says
    Serve {
        service: ServiceName,
        data: PathBuf,
        config: PathBuf,
        /// Count calls there, and die or kill where that is ordered
        #[arg(long)]
        points: Option<PathBuf>,
        /// Go by a clock that is as wrong as this file says
        #[arg(long)]
        skew: Option<PathBuf>,
        /// Which wires may be cut, and where it is said that they are
        #[arg(long, conflicts_with = "points")]
        cut: Option<String>,
        /// What is logged, as JSON; trouble only, for people, if it is not said
        #[arg(long)]
        log: Option<String>,
        /// The world outside is the test's, which that directory tells of
        #[arg(long)]
        outside: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Before,
    After,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Args::parse().command {
        Command::Audit { keys, data, place } => audit(&keys, data, place).await,
        Command::Up {
            data,
            script,
            crash,
            side,
        } => {
            let calls = match (crash, side) {
                (Some(nth), Some(When::Before)) => RunCalls::crashing(nth, Side::Before),
                (Some(nth), Some(When::After)) => RunCalls::crashing(nth, Side::After),
                _ => RunCalls::default(),
            };
            up(&data, script, calls).await
        }
        Command::Serve {
            service,
            data,
            config,
            points,
            skew,
            cut,
            log,
            outside,
        } => {
            let mut process = Process::new(service, &data, Config::load(Some(&config))?);
            if let Some(file) = skew {
                process.clock = Arc::new(SkewedClock::read(&file));
            }
            if let Some(points) = points {
                process.wire = Arc::new(CountedWire(Arc::new(Counting::new(&points))));
            }
            if let Some(cut) = cut {
                process.wire = Arc::new(CutWire::told(&cut).ok_or("no such wire")?);
            }
            if let Some(outside) = outside {
                process.edges = Some(Outside::edges_at(&outside)?);
            }
            serve(process, log).await
        }
    }
}

async fn audit(keys: &Path, data: PathBuf, place: Ipv4Addr) -> Result<(), Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let identity = ServiceIdentity::load(keys, clock.now())?;
    let deps = harombe_audit::Deps {
        metrics: harombe_rpc::Metrics::new(),
        clock,
        identity: identity.clone(),
        data,
    };
    let service = harombe_audit::build(harombe_audit::Config::default(), deps).await?;
    let listener = TcpListener::bind((place, AUDIT_PORT)).await?;
    say(&format!("https://{}", listener.local_addr()?))?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, stop) = (service.server().clone(), stop.clone());
        async move { server.serve_tls(listener, &identity, stop).await }
    });
    end_of_input().await?;
    stop.cancel();
    service.shutdown(Duration::from_secs(5)).await;
    serving.await??;
    Ok(())
}

async fn up(data: &Path, script: PathBuf, calls: RunCalls) -> Result<(), Box<dyn Error>> {
    let mut assembly = Assembly::new(data, quick(), Some(ModelSource::Scripted(script)));
    assembly.wire = Arc::new(calls.clone());
    let embedded = assembly.start().await?;
    say("up")?;
    end_of_input().await?;
    embedded.shutdown().await;
    for call in calls.calls() {
        say(&call)?;
    }
    Ok(())
}

async fn serve(process: Process, log: Option<String>) -> Result<(), Box<dyn Error>> {
    // What goes wrong inside of a service is told nobody but its log.
    let trouble = Options {
        format: Format::Human,
        filter: "error".to_owned(),
    };
    harombe_telemetry::init(&log.map_or(trouble, |filter| Options {
        format: Format::Json,
        filter,
    }))?;
    let serving = process.start().await?;
    say(serving.address())?;
    end_of_input().await?;
    serving.shutdown().await;
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

async fn end_of_input() -> std::io::Result<()> {
    let reading = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    reading.await?.map(drop)
}
