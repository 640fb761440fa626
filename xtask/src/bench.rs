//! `cargo xtask bench`.

use crate::step::{Failure, Result, root, run as run_program, step};
use crate::workspace::Workspace;

const MANIFEST: &str = "bench/Cargo.toml";

pub(crate) fn run() -> Result {
    if !root().join(MANIFEST).exists() {
        return Err(Failure::new(1, "there is no bench/ here"));
    }
    let workspace = Workspace::read(MANIFEST)?;
    for package in workspace.members() {
        for binary in &package.binaries {
            step(binary, || {
                let release = ["run", "--release", "--manifest-path", MANIFEST];
                let which = ["--package", &package.name, "--bin", binary];
                run_program("cargo", &[release, which].concat())
            })?;
        }
    }
    Ok(())
}
