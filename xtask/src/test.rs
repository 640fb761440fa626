//! `cargo xtask test`.

use crate::step::{Result, run as run_program, step, succeeds};

/// `long` also runs what takes minutes.
pub(crate) fn run(long: bool) -> Result {
    if succeeds("cargo", &["nextest", "--version"]) {
        step("tests (nextest)", || {
            let ignored = if long { "all" } else { "default" };
            let arguments =
                ["nextest", "run", "--workspace", "--no-tests=pass", "--run-ignored", ignored];
            run_program("cargo", &arguments)
        })?;
    } else {
        step("tests", || {
            let mut arguments = vec!["test", "--workspace", "--all-targets"];
            if long {
                arguments.extend(["--", "--include-ignored"]);
            }
            run_program("cargo", &arguments)
        })?;
    }
    step("documentation tests", || run_program("cargo", &["test", "--workspace", "--doc"]))
}
