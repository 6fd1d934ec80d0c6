//! How many rows a second the group-commit writer makes durable on this disk, beside what one fsync costs.
//!
//! `cargo run --release -p harombe-sql --example throughput -- [CALLERS] [SECONDS]`

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use harombe_sql::{BulkInsert, Connection, Database, Error, GroupCommit, Handler, Limits, Migrator};

static MIGRATIONS: Migrator = harombe_sql::migrate!("tests/it/migrations");

struct Rows {
    insert: BulkInsert,
    next: i64,
}

impl Handler for Rows {
    type Job = Vec<u8>;
    type Reply = i64;
    type Key = u32;

    async fn apply(&mut self, tx: &mut Connection, jobs: Vec<Vec<u8>>) -> Result<Vec<i64>, Error> {
        let mut index = self.next;
        let rows = jobs.into_iter().map(|body| {
            index += 1;
            (index, body)
        });
        let rows: Vec<_> = rows.collect();
        let replies = rows.iter().map(|(index, _)| *index).collect();
        self.insert
            .insert(tx, rows, |query, (index, body)| {
                query.bind(index).bind(format!("018f{index:032x}")).bind(body)
            })
            .await?;
        self.next = index;
        Ok(replies)
    }

    fn rolled_back(&mut self) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let callers: u32 = arguments.next().as_deref().unwrap_or("256").parse()?;
    let seconds: u64 = arguments.next().as_deref().unwrap_or("5").parse()?;
    let directory = tempfile::tempdir()?;
    let fsync = fdatasync_p50(directory.path())?;
    let (_database, writer) = Database::open(&directory.path().join("rows.db"), &MIGRATIONS).await?;
    let handler = Rows {
        insert: BulkInsert::new("INSERT INTO notes (id, name, body)", 3),
        next: 0,
    };
    let commits = GroupCommit::start(writer, handler, Limits::default());
    let end = Instant::now() + Duration::from_secs(seconds);
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| tokio::spawn(append(commits.clone(), caller, end)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    commits.shutdown().await;
    latencies.sort_unstable();
    let rows = latencies.len();
    let middle = latencies.get(rows / 2).copied().unwrap_or_default();
    let late = latencies.get(rows * 99 / 100).copied().unwrap_or_default();
    writeln!(
        std::io::stdout(),
        "callers {callers}: {:.0} rows/s, p50 {middle:?}, p99 {late:?}; fdatasync p50 {fsync:?}",
        rows as f64 / elapsed
    )?;
    Ok(())
}

async fn append(commits: GroupCommit<Rows>, caller: u32, end: Instant) -> Result<Vec<Duration>, Error> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        commits.submit(&(caller % 8), vec![b'x'; 600]).await?;
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

fn fdatasync_p50(directory: &Path) -> std::io::Result<Duration> {
    let mut file = std::fs::File::create(directory.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[0; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
