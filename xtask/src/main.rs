//! The developer commands of Larder: `cargo xtask test`, `check` and others.

mod bench;
mod budget;
mod check;
mod contract;
mod driver_range;
mod fuzz;
mod minimal_versions;
mod package;
mod perf;
mod rust_version;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use crate::step::{Failure, step};

const USAGE: &str = "usage: cargo xtask <command>
  test    unit, integration and documentation tests of the workspace;
          --long also runs what takes minutes
          contract shows each row of the contract with the backends it ran on
  check   formatting, lints, docs, features, rust-version, packages, dependencies,
          licences (where cargo-deny is installed), schedules;
          --perf compares the instructions of ten hot paths with those kept in
          bench/paths/instructions.txt, and needs valgrind; --accept keeps new ones
  package packs every package and builds what was packed
  minimal-versions
          builds with the oldest dependencies that the manifests allow; needs nightly
  bench   the measurements in bench/, beside other caches: all, or some of
          memory, load, hit-ratio, disk, codec, snapshot, races;
          --quick, --json FILE, --plot DIR and what else --help tells
  fuzz    hostile bytes for everything that decodes, each for so many
          SECONDS (default 60); needs nightly and cargo-fuzz";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::run(false),
        ["test", "--long"] => test::run(true),
        ["test", "contract"] => contract::run(),
        ["check"] => check::run(),
        ["check", "--perf"] => step("hot paths", perf::check),
        ["check", "--perf", "--accept"] => step("hot paths", perf::accept),
        ["package"] => step("packages", package::run),
        ["minimal-versions"] => step("minimal versions", minimal_versions::run),
        ["bench", words @ ..] => bench::run(words),
        ["fuzz"] => fuzz::run("60"),
        ["fuzz", seconds] => fuzz::run(seconds),
        _ => Err(Failure::new(2, USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
