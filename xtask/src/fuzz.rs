//! `cargo xtask fuzz`.

use std::fs;

use crate::step::{Failure, Result, root, run as run_program, step, succeeds};
use crate::workspace::Workspace;

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Runs each target for this many seconds.
pub(crate) fn run(seconds: &str) -> Result {
    let seconds: u32 = seconds
        .parse()
        .map_err(|_| Failure::new(2, format!("not a number of seconds: {seconds}")))?;
    if !succeeds("cargo", &["fuzz", "--version"]) {
        return Err(Failure::new(1, "cargo-fuzz is missing: cargo install cargo-fuzz --locked"));
    }
    if !succeeds("rustup", &["run", "nightly", "rustc", "--version"]) {
        let missing = "a nightly compiler is missing: rustup toolchain install nightly";
        return Err(Failure::new(1, missing));
    }
    let workspace = Workspace::read(MANIFEST)?;
    for package in workspace.members() {
        for target in package.binaries() {
            step(target, || fuzz(target, seconds))?;
        }
    }
    Ok(())
}

fn fuzz(target: &str, seconds: u32) -> Result {
    // New inputs go into the first folder. The kept corpus is read and stays as it is.
    let found = format!("fuzz/target/corpus/{target}");
    let kept = format!("fuzz/corpus/{target}");
    for folder in [&found, &kept] {
        fs::create_dir_all(root().join(folder))
            .map_err(|error| Failure::new(1, format!("{folder}: {error}")))?;
    }
    let time = format!("-max_total_time={seconds}");
    let program = ["run", "nightly", "cargo", "fuzz", "run", target, &found, &kept];
    let limits = ["--", &time, "-timeout=10", "-malloc_limit_mb=64", "-print_final_stats=1"];
    run_program("rustup", &[&program[..], &limits[..]].concat())
}
