//! Steps of a command: a name, a time, and a stop with the exit code of the failed program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// The reason why a command stops, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    reason: String,
}

impl Failure {
    pub(crate) fn new(code: u8, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    #[expect(clippy::print_stderr, reason = "the command line is this program's interface")]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("{}", self.reason);
        ExitCode::from(self.code)
    }
}

/// Does one step and prints its name and its time.
#[expect(clippy::disallowed_methods, reason = "a developer waits in real time")]
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result) -> Result {
    say(&format!("== {name}"));
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match result {
        Ok(()) => {
            say(&format!("== {name}: passed in {seconds:.1} s"));
            Ok(())
        }
        Err(Failure { code, reason }) => {
            Err(Failure { code, reason: format!("== {name}: failed in {seconds:.1} s: {reason}") })
        }
    }
}

#[expect(clippy::print_stdout, reason = "the command line is this program's interface")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Runs a program in the workspace's folder, with its output shown.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Result {
    finish(program, command(program, arguments))
}

/// Runs a program in the caller's folder, because its paths are relative to that.
pub(crate) fn run_here<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Result {
    let mut command = Command::new(program);
    command.args(arguments);
    finish(program, command)
}

fn finish(program: &str, mut command: Command) -> Result {
    let status = command
        .status()
        .map_err(|error| Failure::new(1, format!("{program} did not start: {error}")))?;
    if status.success() {
        return Ok(());
    }
    // A process ended by a signal has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failure::new(code, format!("{program}: {status}")))
}

/// Returns the output of a program.
pub(crate) fn output<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Result<String> {
    let output = command(program, arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(1, format!("{program} did not start: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(1, format!("{program}: {}", output.status)));
    }
    String::from_utf8(output.stdout)
        .map_err(|error| Failure::new(1, format!("{program} printed no text: {error}")))
}

/// Returns the output of a program, and whether it succeeds.
pub(crate) fn output_of<A: AsRef<OsStr>>(
    program: &str,
    arguments: &[A],
    variables: &[(&str, &str)],
) -> Result<(String, bool)> {
    let output = command(program, arguments)
        .envs(variables.iter().copied())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(1, format!("{program} did not start: {error}")))?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success()))
}

/// True if a program exists and succeeds. Its output is not shown.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    command(program, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn command<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Returns the workspace's folder, wherever the command was called.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}
