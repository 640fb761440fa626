//! `cargo xtask test`.

use crate::step::{Result, run as run_program, step, succeeds};

/// `long` also runs what takes minutes.
pub(crate) fn run(long: bool) -> Result {
    if succeeds("cargo", &["nextest", "--version"]) {
        step("tests (nextest)", || {
            let ignored = if long { "all" } else { "default" };
            let arguments = ["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"];
            run_program("cargo", &[&arguments[..], &["--run-ignored", ignored]].concat())
        })?;
    } else {
        step("tests", || {
            let mut arguments = vec!["test", "--workspace", "--all-targets", "--no-fail-fast"];
            if long {
                arguments.extend(["--", "--include-ignored"]);
            }
            run_program("cargo", &arguments)
        })?;
    }
    step("documentation tests", || {
        run_program("cargo", &["test", "--workspace", "--doc", "--no-fail-fast"])
    })
}
