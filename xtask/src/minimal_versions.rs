//! `cargo xtask minimal-versions`: the oldest dependencies that the manifests allow.

use std::fs;

use crate::step::{Failure, Result, root, run as run_program};

const FOLDER: &str = "target/minimal-versions";
/// A lock file of its own, so that the workspace's stays as it is.
const LOCK: &str = "target/minimal-versions/Cargo.lock";

pub(crate) fn run() -> Result {
    let lock = root().join(LOCK);
    if lock.exists() {
        // With the old file, cargo would keep the versions of the last run.
        fs::remove_file(&lock).map_err(|error| Failure::new(1, format!("{LOCK}: {error}")))?;
    }
    let path = format!("resolver.lockfile-path=\"{LOCK}\"");
    let cargo = ["run", "nightly", "cargo", "check", "--workspace", "--all-features"];
    let oldest = ["-Z", "direct-minimal-versions", "--config", &path, "--target-dir", FOLDER];
    run_program("rustup", &[&cargo[..], &oldest[..]].concat())
}
