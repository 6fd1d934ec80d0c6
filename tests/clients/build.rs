//! Takes the Rust out of docs/api.md, so that what the page shows is what is compiled and run.

use std::path::{Path, PathBuf};

fn main() {
    // Where the crate is now: a build folder may have this program from another clone.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let page = Path::new(&here).join("../../docs/api.md");
    println!("cargo::rerun-if-changed={}", page.display());
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    let snippet = text
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap_or("compile_error!(\"docs/api.md has no Rust\");");
    if let Some(out) = std::env::var_os("OUT_DIR") {
        let written = std::fs::write(PathBuf::from(out).join("snippet.rs"), snippet);
        if let Err(error) = written {
            println!("cargo::error=the snippet cannot be written: {error}");
        }
    }
}
