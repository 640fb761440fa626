//! `cargo xtask test`.

use crate::step::{Result, run as run_program, step, succeeds};

/// Runs the tests. With `long`, also those that take minutes.
pub(crate) fn run(long: bool) -> Result {
    let runner = Runner::new(long);
    step("tests", || runner.run(&["--workspace"], &[]))?;
    // Both are loops over schedules. An optimized build runs many more of them in the same time.
    step("histories and races (optimized)", || {
        let package = ["--release", "--package", "larder", "--lib", "--test", "races"];
        runner.run(&package, &["simulation::", "f44_"])
    })?;
    step("documentation tests", || {
        run_program("cargo", &["test", "--workspace", "--doc", "--no-fail-fast"])
    })
}

/// The test runner: cargo-nextest where it is installed, else `cargo test`.
struct Runner {
    is_nextest: bool,
    long: bool,
}

impl Runner {
    fn new(long: bool) -> Self {
        Self { is_nextest: succeeds("cargo", &["nextest", "--version"]), long }
    }

    /// Runs the tests of these packages: those whose names have one of the filters, or all.
    fn run(&self, packages: &[&str], filters: &[&str]) -> Result {
        if self.is_nextest {
            let ignored = if self.long { "all" } else { "default" };
            let head = ["nextest", "run", "--no-fail-fast", "--no-tests=pass"];
            let arguments = [&head[..], packages, &["--run-ignored", ignored], filters].concat();
            return run_program("cargo", &arguments);
        }
        // Without a choice of targets, `cargo test` would run the documentation tests, too.
        let targets: &[&str] = if filters.is_empty() { &["--all-targets"] } else { &[] };
        let ignored: &[&str] = if self.long { &["--include-ignored"] } else { &[] };
        let head = ["test", "--no-fail-fast"];
        let arguments = [&head[..], packages, targets, &["--"], ignored, filters].concat();
        run_program("cargo", &arguments)
    }
}
