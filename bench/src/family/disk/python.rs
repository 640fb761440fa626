//! Python's diskcache.

use std::path::PathBuf;
use std::process::Command;

/// Python's diskcache, in a process of its own for each sample.
#[derive(Debug)]
pub struct Python {
    /// Python itself.
    pub program: String,
    /// The folder of the cache.
    pub folder: PathBuf,
}

impl Python {
    /// Runs one operation many times. Returns microseconds per operation.
    pub fn run(&self, what: &str, length: usize, count: usize, operations: usize) -> f64 {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/diskcache_peer.py");
        let numbers = [length, count, operations].map(|number| number.to_string());
        let mut command = Command::new(&self.program);
        command.arg(script).arg(&self.folder).arg(what).args(numbers);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(f64::NAN)
    }
}
