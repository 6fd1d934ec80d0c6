//! Prints how far the estimate is off on the samples, and how long the longest texts take: the tables of the README.
//! `cargo run --release -p harombe-tokens --example measure [TOKENIZER.json]`

#![expect(clippy::print_stdout, reason = "a program that prints tables")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use harombe_tokens::{Choice, Counter, Encoding, Vocabularies};

fn main() -> Result<(), Box<dyn Error>> {
    let vocabularies = Vocabularies::default();
    let choices = [
        Choice::Encoding(Encoding::O200k),
        Choice::Encoding(Encoding::Cl100k),
    ];
    let file = std::env::args_os().nth(1).map(|path| Choice::File(path.into()));
    let counters: Vec<_> = choices
        .iter()
        .chain(&file)
        .map(|choice| vocabularies.counter(choice))
        .collect::<Result<_, _>>()?;
    accuracy(&counters)?;
    duration(&counters);
    Ok(())
}

fn accuracy(counters: &[Counter]) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let estimate = Counter::estimate().count(&text);
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        print!("| {name} | {} | {estimate} |", text.len());
        for counter in counters {
            let tokens = counter.count(&text);
            print!(
                " {tokens} ({:+.0} %) |",
                (estimate as f64 / tokens as f64 - 1.0) * 100.0
            );
        }
        println!();
    }
    Ok(())
}

fn duration(counters: &[Counter]) {
    let units = [
        "a",
        "A",
        " ",
        "\n",
        " \n",
        "ab",
        "Aa",
        "1",
        "!",
        "'S",
        "中",
        "🎉",
        "\u{301}",
        "the quick ",
    ];
    let mut all = counters.to_vec();
    all.push(Counter::estimate());
    for counter in all {
        let mut slowest = (std::time::Duration::ZERO, "");
        for unit in units {
            let text = unit.repeat((1 << 20) / unit.len());
            let begun = Instant::now();
            counter.count(&text);
            slowest = slowest.max((begun.elapsed(), unit));
        }
        println!(
            "{}: 1 MiB takes {:?} at most, of {:?}",
            counter.name(),
            slowest.0,
            slowest.1
        );
    }
}
