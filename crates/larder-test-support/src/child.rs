//! Child processes: the test's own program, started again in another role.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// A child process, killed when the handle is dropped.
///
/// The test program needs a test `child::processes_play_their_roles` that calls [`play_roles`].
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process in this role.
    pub fn start(role: &str, arguments: &[&str]) -> Self {
        Self::start_with(role, arguments, |_| {})
    }

    /// Starts a process in this role, with changes to its command.
    pub fn start_with(role: &str, arguments: &[&str], set_up: impl FnOnce(&mut Command)) -> Self {
        let command = Command::new(std::env::current_exe().unwrap());
        Self::run(command, role, arguments, set_up)
    }

    /// Starts a process whose mounts other processes do not see.
    pub fn start_apart(role: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--mount").arg(std::env::current_exe().unwrap());
        Self::run(command, role, arguments, |_| {})
    }

    fn run(
        mut command: Command,
        role: &str,
        arguments: &[&str],
        set_up: impl FnOnce(&mut Command),
    ) -> Self {
        command.args(["child::processes_play_their_roles", "--exact", "--nocapture"]);
        command.env(ROLE, role).env(ARGUMENTS, arguments.join("\n"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        set_up(&mut command);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) {
        writeln!(self.process.stdin.as_ref().unwrap(), "{line}").unwrap();
    }

    /// Returns the next line that the child [tells](tell); `None` when it has ended.
    pub fn hear(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            // The harness writes text before the mark on the same line.
            line.split_once(MARK).map(|(_, told)| told.to_owned())
        })
    }

    /// Sends the child a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Kills the child. Returns the lines that it had told.
    pub fn kill(mut self) -> Vec<String> {
        let _ = self.process.kill();
        self.process.wait().unwrap();
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Waits for the child's end. Returns its status and the lines that it told.
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let told = std::iter::from_fn(|| self.hear()).collect();
        (self.process.wait().unwrap(), told)
    }

    /// Waits for the child's end, which must be a success. Returns the lines that it told.
    pub fn succeed(self) -> Vec<String> {
        let (status, told) = self.end();
        assert!(status.success(), "{status}: {told:?}");
        told
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Tells the parent process a line.
pub fn tell(line: impl Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}").unwrap();
    out.flush().unwrap();
}

/// Plays the role of this process if it is a [`Child`]; otherwise tests that a child can be started.
///
/// `play` gets the role and the arguments that the child was started with.
pub fn play_roles(play: impl FnOnce(&str, &[&str])) {
    let Some(role) = std::env::var_os(ROLE) else {
        assert_eq!(Child::start(GREET, &["you"]).succeed(), ["hello you"]);
        return;
    };
    let arguments = std::env::var_os(ARGUMENTS).unwrap().into_string().unwrap();
    let arguments: Vec<&str> = arguments.split('\n').collect();
    match (role.to_str().unwrap(), arguments.as_slice()) {
        (GREET, [name]) => tell(format_args!("hello {name}")),
        (role, arguments) => play(role, arguments),
    }
}

const GREET: &str = "greet";
const ROLE: &str = "LARDER_TEST_ROLE";
const ARGUMENTS: &str = "LARDER_TEST_ARGUMENTS";
const MARK: &str = "@";
