//! Larder beside the caches that people use now.
//!
//! [`main`] runs [families](family) of measurements. Each contestant is measured in a process of
//! its own, once in every round: the program starts itself with a [`workload::Job`], and the
//! process prints the sample.

mod arguments;
mod bench;
mod contestant;
mod failure;
mod family;
mod hit_ratio;
mod key;
mod latency;
mod process;
mod random;
mod report;
mod series;
mod table;
mod workload;

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::failure::Result;

/// The memory that this process has requested from its allocator.
#[derive(Clone, Copy, Debug)]
pub struct Allocated {
    /// The bytes that the process has now.
    pub bytes: u64,
    /// The number of requests.
    pub allocations: u64,
}

/// A function that returns the memory that has been allocated.
pub type Count = fn() -> Allocated;

/// Runs the program. Allocations can be measured only with an allocator that counts.
#[must_use]
pub fn main(count: Option<Count>) -> ExitCode {
    match run(&Arguments::read(), count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("larder-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, count: Option<Count>) -> Result {
    match &arguments.job {
        Some(job) => {
            println!("{}", workload::run(&serde_json::from_str(job)?, count)?);
            Ok(())
        }
        None => family::run(arguments),
    }
}
