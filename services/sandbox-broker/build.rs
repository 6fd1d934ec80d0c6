//! Builds the guest, a static program of its own, so that it can be embedded in the broker.
//!
//! It gets a target directory below `OUT_DIR`: the outer build holds the lock of the usual one, and the
//! guest's flags (static, small, aborting) would make everything there be built twice.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let guest = root.join("guest");
    for watched in ["guest/src", "guest/Cargo.toml", "build.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    if env::var("TARGET")? != TARGET {
        return Err(format!("sandboxes need {TARGET}").into());
    }
    let target_dir = PathBuf::from(env::var("OUT_DIR")?).join("guest");
    build(&guest, &target_dir)?;
    let program = target_dir.join(TARGET).join("release").join("harombe-guest");
    println!("cargo::rustc-env=HAROMBE_GUEST={}", program.display());
    Ok(())
}

fn build(guest: &Path, target_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .args([
            "build",
            "--release",
            "--bin",
            "harombe-guest",
            "--offline",
            "--target",
            TARGET,
        ])
        .arg("--manifest-path")
        .arg(guest.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    // What the outer build was told about its own compiler, linting included, is not for the guest.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text == "RUSTFLAGS"
            || text.ends_with("_RUSTFLAGS") && text != "CARGO_ENCODED_RUSTFLAGS"
            || text.starts_with("CLIPPY_")
            || matches!(
                &*text,
                "RUSTC_WORKSPACE_WRAPPER" | "CARGO_BUILD_TARGET" | "CARGO_MAKEFLAGS" | "MAKEFLAGS"
            )
        {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("building the guest failed: {status}").into())
    }
}
