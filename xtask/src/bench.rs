//! `cargo xtask bench`.

use crate::step::{Failure, Result, root, run as run_program, run_here, step};

/// The manifest of the workspace of measurements.
pub(crate) const MANIFEST: &str = "bench/Cargo.toml";

/// Builds all of `bench/` and passes the words on to its program, which knows its commands.
pub(crate) fn run(words: &[&str]) -> Result {
    if !root().join(MANIFEST).exists() {
        return Err(Failure::new(1, "there is no bench/ here"));
    }
    step("build", || {
        run_program("cargo", &["build", "--release", "--bins", "--manifest-path", MANIFEST])
    })?;
    let manifest = root().join(MANIFEST).to_string_lossy().into_owned();
    let release = ["run", "--release", "--manifest-path", &manifest];
    let which = ["--bin", "larder-bench", "--"];
    step("bench", || run_here("cargo", &[&release[..], &which, words].concat()))
}
