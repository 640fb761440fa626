//! `cargo xtask test`.

use crate::step::{Result, run as run_program, step, succeeds};

pub(crate) fn run() -> Result {
    if succeeds("cargo", &["nextest", "--version"]) {
        step("tests (nextest)", || {
            run_program("cargo", &["nextest", "run", "--workspace", "--no-tests=pass"])
        })?;
    } else {
        step("tests", || run_program("cargo", &["test", "--workspace", "--all-targets"]))?;
    }
    step("documentation tests", || run_program("cargo", &["test", "--workspace", "--doc"]))
}
