//! `larder-bench` with an allocator that counts. Only `larder-bench` itself starts it.

use std::alloc::System;

use larder_bench::Allocated;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> std::process::ExitCode {
    larder_bench::main(Some(|| {
        let stats = ALLOCATOR.stats();
        let bytes = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated) as u64;
        Allocated { bytes, allocations: (stats.allocations + stats.reallocations) as u64 }
    }))
}
