//! Measures the local model on this machine: `cargo run -p harombe-embedding --example embed -- FOLDER FILE`, where each
//! line of FILE is a text.

use std::io::Write as _;
use std::path::Path;

use harombe_embedding::{Embedder as _, Local, LocalConfig, Purpose, measure};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: speed FOLDER FILE".into());
    };
    let texts: Vec<String> = std::fs::read_to_string(file)?
        .lines()
        .map(str::to_owned)
        .collect();
    let mut out = std::io::stdout();
    let before = std::time::Instant::now();
    let local = Local::open(Path::new(&folder), &LocalConfig::default())?;
    writeln!(out, "opened in {:?}, {}", before.elapsed(), resident()?)?;
    let question = "When did Caroline go to the LGBTQ support group?";
    let mut times = Vec::new();
    for _ in 0..300 {
        let start = std::time::Instant::now();
        local.embed(vec![question.to_owned()], Purpose::Query).await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let p50 = times.get(150).copied().unwrap_or_default();
    writeln!(out, "{} tokens: p50 {p50:?}", local.count_tokens(question) + 2)?;
    let start = std::time::Instant::now();
    let tokens: usize = texts.iter().map(|text| local.count_tokens(text)).sum();
    writeln!(out, "{tokens} tokens counted in {:?}", start.elapsed())?;
    writeln!(out, "{:?}, {}", measure(&local, &texts).await?, resident()?)?;
    Ok(())
}

/// The memory of this process.
fn resident() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    Ok(lines.collect::<Vec<_>>().join(", ").replace('\t', " "))
}
