//! How fast benign text goes through: `cargo bench -p harombe-redact`.
#![expect(clippy::print_stdout, reason = "a benchmark reports on the terminal")]

use std::time::Instant;

use harombe_redact::{Redactor, Scanner};

const MEBIBYTE: usize = 1024 * 1024;

fn main() {
    let log = "2026-01-02T03:04:05Z INFO request finished method=GET path=/api/v1/items/42 status=200 bytes=5120 took=3ms\n";
    let source = include_str!("../src/machine.rs");
    let table = "4711,Acme Ltd,12.50,2026-01-02,Berlin,shipped\n";
    let inputs = [("log", log), ("source", source), ("csv", table)];
    // texts made to cost as much as possible: the rate falls, but not with the length
    let hostile = [
        "password=",
        "sk-",
        "://a:b@",
        "' + '",
        "eyJa.",
        "password=\"",
        "key-",
        "%41",
        "token: x\n",
        "-----BEGIN ",
    ];
    for (name, sample) in inputs
        .into_iter()
        .chain(hostile.map(|sample| (sample.trim_end(), sample)))
    {
        let text = sample.repeat(8 * MEBIBYTE / sample.len());
        let begin = Instant::now();
        let found = Scanner::shared().scan(&text).len();
        report(name, "scan", text.len(), found, begin);
        let begin = Instant::now();
        let mut redactor = Redactor::default();
        let mut out = 0;
        for chunk in text.as_bytes().chunks(16 * 1024) {
            out += redactor.push(chunk).len();
        }
        out += redactor.finish().len();
        report(name, "stream", text.len(), text.len().abs_diff(out), begin);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for reading")]
fn report(name: &str, mode: &str, bytes: usize, found: usize, begin: Instant) {
    let rate = bytes as f64 / begin.elapsed().as_secs_f64() / 1e6;
    println!("{name:12} {mode:8} {rate:8.0} MB/s, {found} found");
}
