//! This process: what it was asked, how much memory it has, and itself once more.

use std::process::{Command, Stdio};

/// The bytes of memory that are resident now; zero where `/proc` does not tell.
#[must_use]
pub fn resident() -> u64 {
    told("VmRSS:")
}

/// The most bytes of memory that were resident while this ran, and what was before it began; zeros
/// where `/proc` does not tell.
pub fn peak<R>(run: impl FnOnce() -> R) -> (R, u64, u64) {
    let before = resident();
    // Makes the kernel forget the peak there was.
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

/// How often this thread was made to wait for others that want its processor; zero where `/proc`
/// does not tell.
#[must_use]
pub fn preemptions() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// The value of `--name value` on the command line.
#[must_use]
pub fn asked(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    arguments.find(|argument| argument.strip_prefix("--") == Some(name))?;
    arguments.next()
}

/// The same as a number, or else the default.
///
/// # Panics
/// If it is not a number.
#[must_use]
pub fn number(name: &str, default: u64) -> u64 {
    asked(name).map_or(default, |text| text.parse().expect("the argument is a number"))
}

/// Runs this program with these arguments and gives what it printed.
///
/// # Panics
/// If it cannot be run or fails.
#[must_use]
pub fn again(arguments: &[&str]) -> String {
    let program = std::env::current_exe().expect("the program knows where it is");
    let mut command = Command::new(program);
    let output = command.args(arguments).stderr(Stdio::inherit()).output().expect("it starts");
    assert!(output.status.success(), "it ended with {}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}
