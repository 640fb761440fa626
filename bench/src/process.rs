//! Processes: the memory of this one, and further runs of this program.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::workload::Job;

/// Returns the bytes of memory that are resident now; zero where `/proc` does not tell.
pub fn resident() -> u64 {
    told("VmRSS:")
}

/// Returns the most bytes of memory that were resident while this function ran, and those before it
/// began; zeros where `/proc` does not tell.
pub fn peak<R>(run: impl FnOnce() -> R) -> (R, u64, u64) {
    let before = resident();
    // This makes the kernel forget the earlier peak.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let result = run();
    (result, told("VmHWM:"), before)
}

fn told(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Returns how often this thread had to wait for others that want its processor; zero where `/proc`
/// does not tell.
pub fn preemptions() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Does a job in a process of its own. Returns the answer.
///
/// # Errors
/// An error if the process cannot be started, fails, or prints no answer.
pub fn answer(job: &Job) -> Result<Value> {
    let failed = |what: String| Failure::Process(format!("{job}: {what}"));
    let own = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let program = if job.counts { own.with_file_name("larder-bench-counting") } else { own };
    if !program.exists() {
        let built = "cargo build --release --manifest-path bench/Cargo.toml --bins";
        return Err(failed(format!("{} is not there: {built}", program.display())));
    }
    let mut command = Command::new(program);
    let output = command
        .args(["--job", &serde_json::to_string(job)?])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
